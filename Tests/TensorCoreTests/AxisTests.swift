import TensorCore
import Testing

@Suite struct AxisTests {
  @Test func negativeAxesCountFromTheEnd() {
    #expect((0..<3).map { $0.normalizedAxis(rank: 3) } == [0, 1, 2])
    #expect([-1, -2, -3].map { $0.normalizedAxis(rank: 3) } == [2, 1, 0])
  }

  @Test func axesThatDoNotExistTrap() async {
    await #expect(processExitsWith: .failure) { _ = 3.normalizedAxis(rank: 3) }
    await #expect(processExitsWith: .failure) { _ = (-4).normalizedAxis(rank: 3) }
  }

  @Test func typesThatCannotBeWrittenTrap() async {
    await #expect(processExitsWith: .failure) {
      _ = StoredTensor(name: "t", Tensor<Float>(zeros: [2]), as: .i32)
    }
  }
}

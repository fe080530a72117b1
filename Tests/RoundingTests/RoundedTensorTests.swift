import Testing

@testable import TensorCore

@Suite struct RoundedTensorTests {
  @Test(arguments: BitWidth.allCases) func whatIsPackedIsReadAgain(_ width: BitWidth) throws {
    let largest = width.largest
    // Every integer of the width, at every place of a byte.
    let integers = (0..<(2 * largest + 1) * 8).map { Int8($0 % (2 * largest + 1) - largest) }
    let tensor = RoundedTensor(
      shape: [8, 2 * largest + 1], width: width, integers: integers, scales: (1...8).map { Float($0) })
    #expect(tensor.packed.count == (integers.count * width.rawValue + 7) / 8)
    let read = RoundedTensor(packed: tensor.packed, shape: tensor.shape, width: width, scales: tensor.scales)
    #expect(read == tensor)
  }

  @Test func valuesAreProductsInSinglePrecision() {
    let tensor = RoundedTensor(shape: [2, 2], width: .four, integers: [7, -3, 1, 0], scales: [0.1, 3])
    #expect(tensor.values.elements == [Double(Float(0.1) * 7), Double(Float(0.1) * -3), 3, 0])
  }

  @Test func whatNoWriterMakesIsRefused() {
    let tensor = RoundedTensor(shape: [1, 4], width: .three, integers: [3, -3, 0, 1], scales: [1])
    #expect(
      RoundedTensor(packed: tensor.packed.dropLast().map { $0 }, shape: [1, 4], width: .three, scales: [1]) == nil)
    #expect(RoundedTensor(packed: tensor.packed, shape: [1, 4], width: .three, scales: [.nan]) == nil)
    #expect(RoundedTensor(packed: tensor.packed, shape: [1, 4], width: .three, scales: [0]) == nil)
    #expect(RoundedTensor(packed: [0xFF, 0xFF], shape: [1, 4], width: .three, scales: [1]) == nil)
    #expect(RoundedTensor(packed: [], shape: [Int.max, 2], width: .three, scales: []) == nil)
  }
}

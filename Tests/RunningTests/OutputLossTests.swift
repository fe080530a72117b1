import TensorCore
import Testing

@testable import Running

@Suite struct OutputLossTests {
  private func outputs(_ elements: [Float]) -> [Tensor<Float>] { [Tensor(shape: [2, 3], elements: elements)] }

  @Test func lossIsZeroOnlyWhereOutputsAgree() {
    let logits = outputs([2, 0, -1, 0.5, 0.25, 3])
    let loss = OutputLoss(logits)
    #expect(loss(logits) <= 1e-6)
    #expect(loss(outputs([2, 1, -1, 0.5, 0.25, 3])) > 1e-3)
    // Logits may be shifted, and say the same.
    #expect(loss(outputs([3, 1, 0, -0.5, -0.75, 2])) <= 1e-6)
    #expect(loss(outputs([.nan, 0, -1, 0.5, 0.25, 3])) == .infinity)
    #expect(loss.agreement(outputs([0, 2, -1, 0.5, 0.25, 3])) == 0.5)
    let values = OutputLoss([Tensor(shape: [1, 2, 2], elements: [1, 2, 3, 4])])
    #expect(values.agreement([]) == nil)
    #expect(abs(values([Tensor(shape: [1, 2, 2], elements: [1, 2, 3, 5])]) - 1.0 / 30) <= 1e-9)
  }

  /// One rule tells classes from values, for the loss, the agreement and the accuracy alike.
  @Test(arguments: [
    ([4, 10], OutputKind.classes(10)), ([4, 10, 1, 1], .classes(10)), ([4, 1, 1, 10], .classes(10)),
    ([1, 5, 7], .values),
    ([1, 5, 7, 3], .values), ([4, 1], .values), ([4], .values), ([4, 1, 1, 1], .values),
  ])
  func oneAxisOfSeveralNumbersIsClasses(_ shape: [Int], _ kind: OutputKind) {
    let output = Tensor<Float>(
      shape: shape, elements: (0..<shape.reduce(1, *)).map { Float($0 % 7) })
    #expect(output.kind == kind)
    let isOfClasses = kind != .values
    #expect((output.topOne != nil) == isOfClasses && (output.agreement(with: output) != nil) == isOfClasses)
    #expect((OutputLoss([output]).agreement([output]) != nil) == isOfClasses)
    #expect((OutputComparison(name: "y", output, reference: output).topOneAgreement != nil) == isOfClasses)
    #expect((Softening(of: output) != nil) == isOfClasses)
    if isOfClasses { #expect(output.topOne?.count == shape[0]) }
  }
}

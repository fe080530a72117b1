/// A convolution whose kernel is a value of the graph, with the channels first.
public struct OperandConvolution: Sendable, Equatable {
  /// How the kernel moves over the spatial axes.
  public var window: Window
  /// Input and output channels split into this many blocks.
  public var groups: Int
  /// Whether it is the gradient of such a convolution; then the kernel is (in, out / groups, spatial...), otherwise
  /// (out, in / groups, spatial...).
  public var isTransposed: Bool
  /// See `TransposedConvolution`; nil for a convolution that is not transposed.
  public var outputPadding: [Int]?

  /// A convolution; see the properties.
  public init(window: Window, groups: Int, isTransposed: Bool = false, outputPadding: [Int]? = nil) {
    self.window = window
    self.groups = groups
    self.isTransposed = isTransposed
    self.outputPadding = outputPadding
  }

  /// The convolution with a kernel of this shape; nil where the shape is none of a kernel.
  public func convolution(kernel: [Int]) -> Convolution? {
    guard !isTransposed, fits(kernel), kernel[0] % groups == 0 else { return nil }
    return Convolution(kernelShape: kernel, groups: groups, window: window)
  }

  /// The transposed convolution with a kernel of this shape and name; nil where the shape is none of a kernel.
  public func transposedConvolution(kernel: [Int], named name: TensorReference) -> TransposedConvolution? {
    guard isTransposed, fits(kernel), kernel[0] % groups == 0 else { return nil }
    return TransposedConvolution(
      kernelShape: kernel, groups: groups, window: window, outputPadding: outputPadding, layout: .channelsFirst,
      kernel: name, bias: nil)
  }

  private func fits(_ kernel: [Int]) -> Bool {
    kernel.count == window.stride.count + 2 && kernel.count >= 3 && groups >= 1 && kernel.allSatisfy { $0 > 0 }
  }

  func outputShape(_ input: [Int?], kernel: [Int?]) throws -> [Int?] {
    guard input.count == kernel.count, let known = kernel.known else {
      guard input.count == kernel.count, input.count >= 3 else {
        throw misfit("\(input.text) and a kernel of \(kernel.text)", "expected as many axes")
      }
      return [input[0]] + Array(repeating: nil, count: input.count - 1)
    }
    if let convolution = convolution(kernel: known) { return try convolution.outputShape(of: input, .channelsFirst) }
    guard let transposed = transposedConvolution(kernel: known, named: TensorReference("")) else {
      throw misfit("\(groups) groups and a kernel of \(known)", "expected channels that the groups divide")
    }
    return try transposed.outputShape(of: input)
  }

  func macs(_ operands: [[Int?]]) -> Int? {
    guard operands.count == 2, let kernel = operands[1].known, kernel.count >= 3,
      let output = try? outputShape(operands[0], kernel: operands[1])
    else { return nil }
    let places = isTransposed ? operands[0] : output
    guard places.count > 1, let count = places.count(without: [1]) else { return nil }
    return (kernel + [count]).productIfExact
  }

  func kinds(kernel: [Int]) -> OperationKind? {
    isTransposed ? .transposedConvolution : convolution(kernel: kernel)?.kinds[0]
  }
}

import ModelGraph
import TensorCore

/// A convolution whose kernel is a value. Operands: data, kernel.
struct OperandConvolutionComputation: Computation {
  let convolution: OperandConvolution

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let kernel = inputs.removeLast().tensor
    let computation: any Computation
    if let convolution = convolution.convolution(kernel: kernel.shape) {
      computation = try convolutionComputation(convolution, .channelsFirst, kernel: kernel, bias: nil)
    } else if let convolution = convolution.transposedConvolution(kernel: kernel.shape, named: TensorReference("")) {
      computation = try TransposedConvolutionComputation(convolution, kernel: kernel, bias: nil)
    } else {
      throw misfit("a kernel of \(kernel.shape)", "expected channels that the groups divide")
    }
    return try computation.run(&inputs, outputShape: outputShape)
  }
}

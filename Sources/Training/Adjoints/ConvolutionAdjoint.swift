import Inference
import ModelGraph
import TensorCore

struct ConvolutionAdjoint: Adjoint {
  let convolution: Convolution
  let layout: ChannelLayout
  let kernel: TensorReference
  let bias: TensorReference?

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { isTrained(kernel) ? .operands : [] }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let gradients = ConvolutionGradients(convolution, layout)
    var result = AdjointResult(operands: [nil])
    if pass.isWanted[0] {
      result.operands[0] = try gradients.ofInput(
        pass.gradient, kernel: pass.weight(kernel), inputShape: pass.operandShapes[0])
    }
    if pass.isTrained(kernel) {
      result.weights.append((kernel, gradients.ofKernel(pass.gradient, input: pass.operands[0])))
    }
    if let bias, pass.isTrained(bias) {
      let axis = convolution.channelAxis(layout, rank: pass.gradient.order)
      result.weights.append((bias, Tensor(sums: pass.gradient.channelSums(axis))))
    }
    return result
  }
}

/// A transposed convolution is the gradient of a convolution, so its own gradients are that convolution.
struct TransposedConvolutionAdjoint: Adjoint {
  let convolution: TransposedConvolution

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { isTrained(convolution.kernel) ? .operands : [] }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let layout = convolution.layout
    let input = pass.operandShapes[0]
    let forwards = Convolution(
      kernelShape: convolution.kernelShape, groups: convolution.groups,
      window: convolution.window(input: layout.spatialAxes(rank: input.count).map { input[$0] }))
    var result = AdjointResult(operands: [nil])
    if pass.isWanted[0] {
      let node = Node(
        name: pass.node.name, layer: pass.node.layer,
        operation: .convolution(forwards, layout: layout, kernel: convolution.kernel, bias: nil), inputs: [""])
      result.operands[0] = try NodeRunner(node, parameter: pass.weight)
        .run([pass.gradient], outputShape: pass.operandShapes[0])
    }
    if pass.isTrained(convolution.kernel) {
      result.weights.append(
        (convolution.kernel, ConvolutionGradients(forwards, layout).ofKernel(pass.operands[0], input: pass.gradient)))
    }
    if let bias = convolution.bias, pass.isTrained(bias) {
      result.weights.append(
        (bias, Tensor(sums: pass.gradient.channelSums(layout.channelAxis(rank: pass.gradient.order)))))
    }
    return result
  }
}

struct BiasAdjoint: Adjoint {
  let bias: TensorReference
  let layout: ChannelLayout

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    var result = AdjointResult(operands: [pass.gradient])
    if pass.isTrained(bias) {
      let axis = layout.channelAxis(rank: pass.gradient.order)
      result.weights.append((bias, Tensor(sums: pass.gradient.channelSums(axis))))
    }
    return result
  }
}

/// The adjoint of x * scale + offset: one number, or one for every channel of the last axis.
struct ScalingAdjoint: Adjoint {
  let scale: [Float]

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let result =
      if scale.count == 1, let only = scale.first {
        pass.gradient.map { $0 * only }
      } else {
        pass.gradient.combined(with: scale, along: -1) { $0 * $1 }
      }
    return AdjointResult(operands: [result])
  }
}

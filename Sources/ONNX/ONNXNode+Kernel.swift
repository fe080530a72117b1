import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// How the operators that have a kernel say so.
extension ONNXNode {
  /// The name of a layer with this kernel. PyTorch's exporter keeps the parameters' names; others name nodes after layers.
  func layerName(of kernel: ONNXKernel) -> String {
    let name = kernel.reference.name
    for suffix in [".weight", ".kernel"] where name.hasSuffix(suffix) { return String(name.dropLast(suffix.count)) }
    return proto.name.isEmpty || kernel.reference.shape != nil ? name : proto.name
  }

  /// Nil for a node without a kernel, and for one whose kernel depends on the network's inputs.
  ///
  /// - Throws: `Failure` where the kernel does not fit the node.
  func kernel() throws -> ONNXKernel? {
    guard let constant = self.constant(1), let dtype = model.holder(of: constant.reference)?.dtype else { return nil }
    var result: ONNXKernel
    switch proto.opType {
    case "Conv": result = try convolutionKernel(constant, dtype)
    case "ConvTranspose": result = try transposedKernel(constant, dtype)
    case "Gemm":
      guard constant.shape.count == 2, scaling == nil else { return nil }
      result = gemmKernel(constant, dtype)
    case "MatMul":
      guard constant.shape.count == 2 else { return nil }
      result = linear(constant, dtype, isTransposed: false)
    default: return nil
    }
    if result.refusal == nil {
      let shape = result.convolution.kernelShape
      if model.folding.quantized.contains(constant.reference.name) {
        result.refusal = "its weights are quantized"
      } else if !dtype.isCompressible {
        result.refusal = "its kernel is stored as \(dtype.rawValue)"
      } else if min(shape[0] / result.convolution.groups, shape.dropFirst().reduce(1, *)) <= 1 {
        result.refusal = "its kernel is a single vector"
      }
    }
    return result
  }

  /// Kernels that the operator wants whole, so that nothing can take their place.
  var wholeKernels: [ONNXKernel] {
    func matrix(_ index: Int, _ reason: String) -> ONNXKernel? {
      guard let constant = self.constant(index), let dtype = model.holder(of: constant.reference)?.dtype,
        let columns = constant.shape.last, columns > 0, constant.shape.count > 1, constant.shape.allSatisfy({ $0 > 0 })
      else { return nil }
      let shape = [constant.shape.dropLast().reduce(1, *), columns]
      return ONNXKernel(
        kind: .linear, reference: constant.reshaped(shape).reference, dtype: dtype,
        convolution: Convolution(kernelShape: shape, window: .unit(0)), refusal: reason)
    }
    switch proto.opType {
    case "LSTM", "GRU", "RNN":
      return [1, 2].compactMap { matrix($0, "the operator \(proto.opType) takes its matrices whole") }
    case "Gemm":
      guard constant(1)?.shape.count == 2, let scaling = self.scaling else { return [] }
      return [matrix(1, scaling)].compactMap(\.self)
    default: return []
    }
  }

  /// Why a Gemm is no linear layer; nil for one that is.
  private var scaling: String? {
    if int("transA", default: 0) != 0 { return "its Gemm transposes the input" }
    if float("alpha", default: 1) != 1 { return "its Gemm multiplies the product with a number" }
    if input(2) != nil, float("beta", default: 1) != 1 { return "its Gemm multiplies the bias with a number" }
    return nil
  }

  private func convolutionKernel(_ constant: ONNXConstant, _ dtype: DType) throws -> ONNXKernel {
    let groups = int("group", default: 1)
    let convolution = try self.convolution(constant.shape, groups, "(out, in / groups, spatial...)")
    let isDepthwise = groups > 1 && constant.shape[1] == 1
    let (bias, computed) = try self.bias(convolution.outputChannels)
    return ONNXKernel(
      kind: isDepthwise ? .depthwiseConvolution : .convolution, reference: constant.reference, bias: bias,
      computedBias: computed, dtype: dtype, convolution: convolution,
      refusal: isDepthwise ? "a depthwise kernel shares nothing between channels" : nil)
  }

  /// Stored (in, out / groups, spatial...), and in that order where nothing can take the kernel's place.
  private func transposedKernel(_ constant: ONNXConstant, _ dtype: DType) throws -> ONNXKernel {
    let groups = int("group", default: 1)
    var convolution = try self.convolution(constant.shape, groups, "(in, out / groups, spatial...)")
    let order = convolution.spatialOrder
    convolution.window = convolution.window.withStatedBorders
    let (bias, computed) = try self.bias(constant.shape[1] * groups)
    func kernel(_ constant: ONNXConstant, refusal: String?) -> ONNXKernel {
      ONNXKernel(
        kind: .transposedConvolution, reference: constant.reference, bias: bias, computedBias: computed, dtype: dtype,
        convolution: convolution, refusal: refusal)
    }
    let outputPadding = outputPadding(convolution.window)
    guard groups == 1 else {
      return kernel(constant, refusal: "a transposed convolution with groups has no stages")
    }
    guard ints("output_shape") == nil else {
      return kernel(constant, refusal: "its node states the shape of its output")
    }
    guard let turned = constant.transposed([1, 0] + Array(2..<order + 2)) else {
      return kernel(constant, refusal: "its kernel is another tensor in a new shape")
    }
    convolution.kernelShape = turned.shape
    convolution.transposition = Convolution.Transposition(outputPadding: outputPadding)
    return kernel(turned, refusal: nil)
  }

  /// What a transposed convolution adds to its output; nil where its padding says so.
  func outputPadding(_ window: Window) -> [Int]? {
    window.padding == .same || window.padding == .sameLower
      ? nil : ints("output_padding") ?? Array(repeating: 0, count: window.stride.count)
  }

  private func convolution(_ shape: [Int], _ groups: Int, _ expected: String) throws -> Convolution {
    guard shape.count >= 3, groups >= 1, shape[0] % groups == 0, shape.allSatisfy({ $0 > 0 }) else {
      throw failure("\(groups) groups and a kernel of \(shape)", "expected \(expected)")
    }
    let window = try self.window(shape.count - 2)
    try window.check(kernel: Array(shape.dropFirst(2)))
    return Convolution(kernelShape: shape, groups: groups, window: window)
  }

  /// The bias as a vector, or the name of the value that is it.
  private func bias(_ count: Int) throws -> (TensorReference?, String?) {
    guard let name = input(2) else { return (nil, nil) }
    guard let bias = self.constant(2) else { return (nil, name) }
    guard bias.shape.reduce(1, *) == count else {
      throw failure("its bias '\(name)' has the shape \(bias.shape)", "expected \(count) numbers")
    }
    return (bias.reshaped([count]).reference, nil)
  }

  private func gemmKernel(_ constant: ONNXConstant, _ dtype: DType) -> ONNXKernel {
    let isTransposed = int("transB", default: 0) != 0
    var result = linear(constant, dtype, isTransposed: isTransposed)
    guard let name = input(2) else { return result }
    let outputs = constant.shape[isTransposed ? 0 : 1]
    if let bias = self.constant(2), bias.shape.reduce(1, *) == outputs, bias.shape.last == outputs {
      result.bias = bias.reshaped([outputs]).reference
    } else {
      result.computedBias = name
    }
    return result
  }

  private func linear(_ constant: ONNXConstant, _ dtype: DType, isTransposed: Bool) -> ONNXKernel {
    // Behind a reshaping the value itself is what is read.
    let held = ONNXConstant(
      reference: TensorReference(input(1) ?? constant.reference.name), shape: constant.shape, type: constant.type)
    let kernel = isTransposed ? constant : constant.transposed([1, 0]) ?? held.transposed([1, 0]) ?? constant
    return ONNXKernel(
      kind: .linear, reference: kernel.reference, dtype: dtype,
      convolution: Convolution(kernelShape: kernel.shape, window: .unit(0)))
  }
}

import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// The layers of an ONNX model: convolutions and matrix products whose kernel the model holds.
struct ONNXKernels {
  private(set) var layers: [Layer] = []
  /// The positions of every layer's nodes.
  private(set) var uses: [String: [Int]] = [:]
  private var layerOfNode: [Int: Int] = [:]

  init(_ model: ONNXModel) throws {
    let nodes = model.proto.graph.node
    var readers: [String: Int] = [:]
    for node in nodes { for input in node.everyInput where !input.isEmpty { readers[input, default: 0] += 1 } }
    for output in model.proto.graph.output { readers[output.name, default: 0] += 1 }
    var byKernel: [String: Int] = [:]
    var names: Set<String> = []
    for (index, proto) in nodes.enumerated() {
      let node = ONNXNode(proto: proto, opset: model.opset, model: model)
      guard ["", "ai.onnx"].contains(proto.domain), let kernel = try node.kernel() else { continue }
      if let known = byKernel[kernel.reference.name] {
        // The same layer again, or a kernel that two different layers share.
        if layers[known].kernel == kernel.reference && layers[known].bias == kernel.bias
          && layers[known].convolution == kernel.convolution
        {
          layerOfNode[index] = known
          uses[layers[known].name, default: []].append(index)
        } else {
          layers[known] = layers[known].refused("another layer shares its kernel")
        }
        continue
      }
      var name = node.layerName(ofKernel: kernel.reference.name)
      if !names.insert(name).inserted { name = proto.output.first ?? name }
      names.insert(name)
      byKernel[kernel.reference.name] = layers.count
      layerOfNode[index] = layers.count
      uses[name] = [index]
      layers.append(
        Layer(
          name: name, kind: kernel.kind, kernel: kernel.reference, bias: kernel.bias, dtype: kernel.dtype,
          convolution: kernel.convolution, refusal: kernel.refusal))
    }
    for index in layers.indices where layers[index].refusal == nil {
      let count = uses[layers[index].name]?.count ?? 0
      if readers[layers[index].kernel.name] != count {
        layers[index] = layers[index].refused("another node reads its kernel")
      }
    }
  }

  func layer(ofNode index: Int) -> Layer? { layerOfNode[index].map { layers[$0] } }
}

extension Onnx_NodeProto {
  /// What the node reads, the bodies of branches and loops included.
  var everyInput: [String] {
    input + attribute.flatMap { ($0.graphs + ($0.hasG ? [$0.g] : [])).flatMap { $0.node.flatMap(\.everyInput) } }
  }
}

/// What a node says about its kernel.
private struct ONNXKernel {
  let kind: Layer.Kind
  let reference: TensorReference
  let bias: TensorReference?
  let dtype: DType
  let convolution: Convolution
  var refusal: String?
}

extension ONNXNode {
  /// PyTorch's exporter keeps the parameters' names; others name nodes after layers.
  fileprivate func layerName(ofKernel kernel: String) -> String {
    for suffix in [".weight", ".kernel"] where kernel.hasSuffix(suffix) { return String(kernel.dropLast(suffix.count)) }
    return proto.name.isEmpty ? kernel : proto.name
  }

  /// Nil for a node without a kernel, and for one whose kernel is computed.
  fileprivate func kernel() throws -> ONNXKernel? {
    guard let kernel = tensor(1) else { return nil }
    var result: ONNXKernel
    switch proto.opType {
    case "Conv": result = try convolutionKernel(kernel)
    case "ConvTranspose": result = try transposedKernel(kernel)
    case "Gemm":
      guard let gemm = gemmKernel(kernel) else { return nil }
      result = gemm
    case "MatMul":
      guard kernel.shape.count == 2 else { return nil }
      result = linear(kernel, isTransposed: false, bias: nil)
    default: return nil
    }
    if result.refusal == nil {
      let shape = result.convolution.kernelShape
      if !kernel.dtype.isCompressible {
        result.refusal = "its kernel is stored as \(kernel.dtype.rawValue)"
      } else if min(shape[0] / result.convolution.groups, shape.dropFirst().reduce(1, *)) <= 1 {
        result.refusal = "its kernel is a single vector"
      }
    }
    return result
  }

  private func convolutionKernel(_ kernel: StoredTensor) throws -> ONNXKernel {
    let groups = int("group", default: 1)
    guard kernel.shape.count >= 3, groups >= 1, kernel.shape[0] % groups == 0, kernel.shape.allSatisfy({ $0 > 0 })
    else {
      throw failure("\(groups) groups and a kernel of \(kernel.shape)", "expected (out, in / groups, spatial...)")
    }
    let convolution = Convolution(
      kernelShape: kernel.shape, groups: groups, window: try window(kernel.shape.count - 2))
    let isDepthwise = groups > 1 && kernel.shape[1] == 1
    return ONNXKernel(
      kind: isDepthwise ? .depthwiseConvolution : .convolution, reference: TensorReference(kernel.name),
      bias: try bias(convolution.outputChannels), dtype: kernel.dtype, convolution: convolution,
      refusal: isDepthwise ? "a depthwise kernel shares nothing between channels" : nil)
  }

  /// Stored (in, out / groups, spatial...). With groups the kernel stays in that order, for nothing takes its place.
  private func transposedKernel(_ kernel: StoredTensor) throws -> ONNXKernel {
    let groups = int("group", default: 1)
    guard kernel.shape.count >= 3, groups >= 1, kernel.shape[0] % groups == 0, kernel.shape.allSatisfy({ $0 > 0 })
    else {
      throw failure("\(groups) groups and a kernel of \(kernel.shape)", "expected (in, out / groups, spatial...)")
    }
    let order = kernel.shape.count - 2
    var window = try window(order)
    let zeros = Array(repeating: 0, count: order)
    if window.padding == .valid { window.padding = .explicit(before: zeros, after: zeros) }
    let isSame = window.padding == .same || window.padding == .sameLower
    let transposition = Convolution.Transposition(outputPadding: isSame ? nil : ints("output_padding") ?? zeros)
    let permutation = [1, 0] + Array(2..<order + 2)
    return ONNXKernel(
      kind: .transposedConvolution,
      reference: TensorReference(kernel.name, permutation: groups == 1 ? permutation : nil),
      bias: try bias(kernel.shape[1] * groups), dtype: kernel.dtype,
      convolution: Convolution(
        kernelShape: groups == 1 ? permutation.map { kernel.shape[$0] } : kernel.shape, groups: groups, window: window,
        transposition: transposition),
      refusal: groups > 1 ? "its channels are split into \(groups) groups already" : nil)
  }

  private func bias(_ count: Int) throws -> TensorReference? {
    guard let name = input(2) else { return nil }
    guard let bias = tensor(2), bias.shape.reduce(1, *) == count else {
      throw failure("its bias '\(name)' is no initialiser of \(count) numbers")
    }
    return TensorReference(bias.name, shape: [count])
  }

  /// Nil for a product that is no linear layer: scaled, transposed, or with a bias that is no vector.
  private func gemmKernel(_ kernel: StoredTensor) -> ONNXKernel? {
    let isTransposed = int("transB", default: 0) != 0
    guard kernel.shape.count == 2, int("transA", default: 0) == 0, float("alpha", default: 1) == 1,
      input(2) == nil || float("beta", default: 1) == 1
    else { return nil }
    var bias: TensorReference?
    if input(2) != nil {
      let outputs = kernel.shape[isTransposed ? 0 : 1]
      guard let stored = tensor(2), stored.shape.reduce(1, *) == outputs, stored.shape.last == outputs else {
        return nil
      }
      bias = TensorReference(stored.name, shape: [outputs])
    }
    return linear(kernel, isTransposed: isTransposed, bias: bias)
  }

  private func linear(_ kernel: StoredTensor, isTransposed: Bool, bias: TensorReference?) -> ONNXKernel {
    let shape = isTransposed ? kernel.shape : kernel.shape.reversed()
    return ONNXKernel(
      kind: .linear, reference: TensorReference(kernel.name, permutation: isTransposed ? nil : [1, 0]), bias: bias,
      dtype: kernel.dtype, convolution: Convolution(kernelShape: shape, window: .unit(0)))
  }
}

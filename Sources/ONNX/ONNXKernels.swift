import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// The layers of an ONNX model: convolutions and matrix products whose kernel follows from the model's tensors.
struct ONNXKernels {
  /// What is known of a node that has a kernel, or should have one.
  struct Use {
    /// The layer that the node is a use of; nil where its kernel is that of another layer, read in another way.
    let layer: Layer?
    let kernel: ONNXKernel?
    /// Why there is no kernel.
    let refusal: String?
  }

  private(set) var layers: [Layer] = []
  /// The positions of every layer's nodes.
  private(set) var uses: [String: [Int]] = [:]
  /// The layers whose uses have different windows.
  private(set) var manyWindowed: Set<String> = []
  private var kernels: [Int: ONNXKernel] = [:]
  private var refusals: [Int: String] = [:]
  private var layerOfNode: [Int: Int] = [:]
  private var layerOfTensor: [String: Int] = [:]
  private var names: Set<String> = []

  init(_ model: ONNXModel) {
    for index in model.order {
      let node = ONNXNode(proto: model.proto.graph.node[index], opset: model.opset, model: model)
      // What follows from the tensors alone is computed once.
      guard node.isStandard, node.proto.output.first.flatMap(model.constant(named:)) == nil else { continue }
      do {
        if let kernel = try node.kernel() { take(kernel, of: node, at: index) }
        for kernel in node.wholeKernels { addLayer(kernel, of: node) }
      } catch {
        refusals[index] = (error as? Failure).map { "which \($0.problem): \($0.reason)" } ?? "\(error)"
      }
    }
    for index in layers.indices where layers[index].refusal == nil {
      if !isReplaceable(layers[index], model) { layers[index] = layers[index].refused("another node reads its kernel") }
    }
  }

  /// What is known of a node's kernel.
  func use(ofNode index: Int) -> Use {
    Use(layer: layerOfNode[index].map { layers[$0] }, kernel: kernels[index], refusal: refusals[index])
  }

  private mutating func take(_ kernel: ONNXKernel, of node: ONNXNode, at index: Int) {
    kernels[index] = kernel
    guard let known = layerOfTensor[kernel.reference.name] else {
      layerOfNode[index] = layers.count
      addLayer(kernel, of: node)
      uses[layers[layers.count - 1].name] = [index]
      return
    }
    let layer = layers[known]
    let (own, other) = (kernel.convolution, layer.convolution)
    guard layer.kernel == kernel.reference, layer.kind == kernel.kind, own.kernelShape == other.kernelShape,
      own.groups == other.groups
    else {
      layers[known] = layer.refused("'\(node.name)' reads its kernel in another way")
      return
    }
    // The same layer again.
    layerOfNode[index] = known
    uses[layer.name, default: []].append(index)
    if own.window != other.window {
      manyWindowed.insert(layer.name)
      layers[known] = layer.refused(
        "its uses have different strides, paddings or dilations, that of '\(node.name)' say")
    } else if layer.bias != kernel.bias {
      layers[known] = layer.withoutBias
    }
  }

  private mutating func addLayer(_ kernel: ONNXKernel, of node: ONNXNode) {
    guard layerOfTensor[kernel.reference.name] == nil else { return }
    var name = node.layerName(of: kernel)
    if names.contains(name) { name = node.proto.output.first { !$0.isEmpty } ?? name }
    while !names.insert(name).inserted { name += "_" }
    layerOfTensor[kernel.reference.name] = layers.count
    layers.append(
      Layer(
        name: name, kind: kernel.kind, kernel: kernel.reference, bias: kernel.bias, dtype: kernel.dtype,
        convolution: kernel.convolution, refusal: kernel.refusal))
  }

  /// Whether the layer's kernel goes away with its nodes, or the largest of the tensors that it is computed from.
  private func isReplaceable(_ layer: Layer, _ model: ONNXModel) -> Bool {
    var removal = ONNXRemoval(model)
    for use in uses[layer.name] ?? [] { removal.release(model.proto.graph.node[use].input[1]) }
    func size(_ name: String) -> Int { model.stored(named: name)?.bytes.count ?? 0 }
    let largest = model.sources(of: layer.kernel.name).max { (size($0), $0) < (size($1), $1) }
    return largest.map(removal.names.contains) ?? false
  }
}

/// What a node says about its kernel.
struct ONNXKernel {
  let kind: Layer.Kind
  let reference: TensorReference
  /// The bias; nil where there is none, or another node computes it.
  var bias: TensorReference?
  /// The value that is the bias, where another node computes it.
  var computedBias: String?
  /// The type that the file stores the kernel in.
  let dtype: DType
  let convolution: Convolution
  var refusal: String?
}

extension Layer {
  /// The layer with a bias that is none of its own: every use adds one.
  fileprivate var withoutBias: Layer {
    Layer(
      name: name, kind: kind, kernel: kernel, bias: nil, dtype: dtype, convolution: convolution,
      inputExtents: inputExtents, refusal: refusal)
  }
}

extension ONNXKernel {
  /// The operation of a ConvTranspose. A kernel to which nothing may be done stands in the order of the file.
  ///
  /// - Throws: `Failure` where the node states a shape of its output that is none.
  func transposedOperation(_ node: ONNXNode, bias: TensorReference?) throws -> Operation {
    guard convolution.transposition == nil else {
      return convolution.operation(.channelsFirst, kernel: reference, bias: bias)
    }
    var result = TransposedConvolution(
      kernelShape: convolution.kernelShape, groups: convolution.groups, window: convolution.window,
      outputPadding: node.outputPadding(convolution.window), layout: .channelsFirst, kernel: reference, bias: bias)
    if let extents = node.ints("output_shape") {
      let order = convolution.spatialOrder
      guard extents.count >= order, extents.allSatisfy({ $0 > 0 }) else {
        throw node.failure("output_shape \(extents)", "expected \(order) positive numbers")
      }
      result.outputExtents = Array(extents.suffix(order))
      result.outputPadding = node.ints("output_padding") ?? Array(repeating: 0, count: order)
    }
    return .transposedConvolution(result)
  }
}

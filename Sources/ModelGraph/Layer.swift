import TensorCore

/// A tensor of the checkpoint together with how to read it in the program's own order.
public struct TensorReference: Sendable, Equatable, Hashable {
  /// The tensor's name in the checkpoint.
  public let name: String
  /// Applied to the stored tensor first; nil leaves its modes where they are.
  public let permutation: [Int]?
  /// Applied after the permutation; nil keeps the permuted shape.
  public let shape: [Int]?

  /// A tensor under its name, read as it is stored unless a permutation or a shape is given.
  public init(_ name: String, permutation: [Int]? = nil, shape: [Int]? = nil) {
    self.name = name
    self.permutation = permutation
    self.shape = shape
  }

  /// Brings a stored tensor into the program's order.
  public func read<Scalar>(_ stored: Tensor<Scalar>) -> Tensor<Scalar> {
    let permuted = permutation.map { stored.permuted($0) } ?? stored
    return shape.map { permuted.reshaped($0) } ?? permuted
  }

  /// The tensor as it is stored, in a shape: undoes `read`.
  package func write<Scalar>(_ tensor: Tensor<Scalar>, shape stored: [Int]) -> Tensor<Scalar> {
    guard let permutation else { return tensor.reshaped(stored) }
    return tensor.reshaped(permutation.map { stored[$0] }).permuted(permutation.inversePermutation)
  }
}

/// A layer of the checkpoint with a kernel that a structure could replace, graph or no graph.
public struct Layer: Sendable, Equatable {
  /// What the layer computes with its kernel.
  public enum Kind: String, Sendable {
    case convolution
    case depthwiseConvolution = "depthwise_convolution"
    case transposedConvolution = "transposed_convolution"
    case linear
  }

  /// The layer's name in its framework, unique in the checkpoint (nested models give `outer/inner`).
  public let name: String
  /// What the layer computes with its kernel.
  public let kind: Kind
  /// The kernel in the checkpoint.
  public let kernel: TensorReference
  /// The bias in the checkpoint; nil where the layer has none.
  public let bias: TensorReference?
  /// The element type of the stored kernel.
  public let dtype: DType
  /// The kernel's shape (out, in / groups, spatial...), its groups and, where the checkpoint has a graph, its window. Without
  /// a graph the window is the unit window and says nothing.
  public let convolution: Convolution
  /// The spatial input extents of every use of the layer in the graph; empty without a graph, nil where they are not static.
  public let inputExtents: [[Int]?]
  /// Why no structure may replace the kernel, where that is known from the checkpoint alone.
  public let refusal: String?
  /// Whether the refusal is only that nothing proves what the kernel is, which a graph may do.
  public let isInDoubt: Bool

  /// A layer as a checkpoint finds it; see the properties.
  public init(
    name: String, kind: Kind, kernel: TensorReference, bias: TensorReference?, dtype: DType,
    convolution: Convolution, inputExtents: [[Int]?] = [], refusal: String? = nil,
    isInDoubt: Bool = false
  ) {
    self.name = name
    self.kind = kind
    self.kernel = kernel
    self.bias = bias
    self.dtype = dtype
    self.convolution = convolution
    self.inputExtents = inputExtents
    self.refusal = refusal
    self.isInDoubt = isInDoubt
  }

  /// The kernel's shape (out, in / groups, spatial...).
  public var kernelShape: [Int] { convolution.kernelShape }

  /// Multiply-accumulates of all uses for one sample when the layer is computed by `stages`; nil where extents are unknown.
  public func macs(_ stages: [Stage]) -> Int? {
    guard !inputExtents.isEmpty else { return nil }
    return inputExtents.reduce(0 as Int?) { total, extents in
      guard let total, let extents else { return nil }
      return total + stages.macs(inputExtents: extents)
    }
  }
}

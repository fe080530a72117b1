import Basics
import ModelGraph
import TensorCore

/// The numbers of a checkpoint in the program's order, and their counts.
extension Checkpoint {
  /// Reads a weight in the program's order.
  ///
  /// - Throws: `Failure` where the checkpoint has no such tensor or it cannot be read as numbers.
  package func parameter<Scalar: TensorScalar>(_ reference: TensorReference) throws -> Tensor<Scalar> {
    let stored = try stored(reference)
    guard let order = reference.permutation else { return reference.read(try stored.decoded()) }
    let permuted: Tensor<Scalar> = try stored.decoded(permuted: order)
    return reference.shape.map { permuted.reshaped($0) } ?? permuted
  }

  private func stored(_ reference: TensorReference) throws -> StoredTensor {
    guard let stored = tensor(named: reference.name) else {
      throw Failure(path, "has no tensor '\(reference.name)'", "its graph refers to it")
    }
    return stored
  }

  /// Whether `kernel(of:mode:range:)` gives parts of a layer's kernel.
  package func hasParts(_ layer: Layer) -> Bool {
    guard layer.convolution.groups == 1, layer.kernel.shape == nil, let stored = tensor(named: layer.kernel.name),
      stored.dtype.bits % 8 == 0
    else { return false }
    let order = layer.kernel.permutation ?? Array(stored.shape.indices)
    return order.map { stored.shape[$0] } == layer.kernelShape
  }

  /// Reads the part of a layer's kernel for some output channels (mode 0) or input channels (mode 1), in double precision, without the rest.
  ///
  /// - Throws: As `kernel(of:)`.
  /// - Precondition: `hasParts`.
  package func kernel(of layer: Layer, mode: Int, range: Range<Int>) throws -> Tensor<Double> {
    let stored = try stored(layer.kernel)
    let part = stored.samples(range, axis: layer.kernel.permutation?[mode] ?? mode)
    return try checked(layer.kernel.read(part.decoded()), of: layer)
  }

  /// Reads a layer's kernel (out, in / groups, spatial...), in double precision where nothing else is asked for.
  ///
  /// - Throws: `Failure` naming the file and the tensor where the kernel holds a NaN or an infinity.
  package func kernel<Scalar: TensorScalar>(of layer: Layer, as _: Scalar.Type = Double.self) throws -> Tensor<Scalar> {
    try checked(try parameter(layer.kernel), of: layer)
  }

  private func checked<Scalar>(_ kernel: Tensor<Scalar>, of layer: Layer) throws -> Tensor<Scalar> {
    guard let position = kernel.elements.firstIndex(where: { !$0.isFinite }) else { return kernel }
    throw Failure(
      path, "tensor '\(layer.kernel.name)' cannot be compressed",
      "it holds \(kernel.elements[position].isNaN ? "a NaN" : "an infinity")",
      remedy: "repair the checkpoint, or leave the layer out with --keep '\(layer.name)'")
  }

  /// The count of numbers in all floating-point tensors.
  package var parameterCount: Int {
    tensors.filter(\.dtype.isCompressible).reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// The multiply-accumulates of one sample; nil without a graph or where the model leaves extents open.
  ///
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  package var macs: Int? { get throws { try graph?.macs() } }

  /// Whether the network, or the part of it before the first layers that are not run, can be run on random inputs: their shapes are known.
  package var isRunnable: Bool {
    guard let graph = graph?.runnablePart?.graph else { return false }
    let axes = graph.sampleAxes
    return graph.inputs.allSatisfy { !$0.rankIsOpen && graph.shape(of: $0, samples: 1, axes).known != nil }
  }
}

import Basics
import Checkpoints
import Decompositions
import TensorCore

extension Record.LayerRecord {
  /// The kernel that the parts in a compressed checkpoint stand for.
  ///
  /// - Throws: `Failure` where the parts that the record names are missing or do not compose to a kernel.
  package func composed(in compressed: Checkpoint) throws -> Tensor<Double> {
    try weightsAndKernel(in: compressed).kernel
  }

  /// The weights of the parts, each of its convolution's kernel shape, and the kernel that they stand for.
  ///
  /// - Throws: as `composed`.
  package func weightsAndKernel(
    in compressed: Checkpoint
  ) throws -> (weights: [Tensor<Double>], kernel: Tensor<Double>) {
    func damaged(_ reason: String) -> Failure {
      Failure(
        compressed.path, "layer '\(name)' cannot be checked", reason,
        remedy: "apply the plan again")
    }
    let weights = try parts.map { part -> Tensor<Double> in
      guard let layer = compressed.layers.first(where: { $0.name == part }) else {
        throw damaged("the record names '\(part)', which the file does not hold")
      }
      return try compressed.parameter(layer.kernel)
    }
    let convolutions = stages.convolutions
    guard weights.count == convolutions.count,
      zip(weights, convolutions).allSatisfy({ $0.count == $1.parameterCount })
    else { throw damaged("its parts do not have the shapes that the record states") }
    let shaped = zip(weights, convolutions).map { $0.reshaped($1.kernelShape) }
    guard let composed = ComposedKernel.compose(stages, weights: shaped, layer: convolution) else {
      throw damaged("its stages do not compose to a kernel of shape \(convolution.kernelShape)")
    }
    return (shaped, composed)
  }
}

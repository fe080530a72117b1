import Basics
import Checkpoints
import Decompositions
import TensorCore

extension Record.LayerRecord {
  /// The kernel that the parts in a compressed checkpoint stand for.
  ///
  /// - Throws: `Failure` where the parts that the record names are missing or do not compose to a kernel.
  package func composed(in compressed: Checkpoint) throws -> Tensor<Double> {
    guard let kernel = try kernel(of: weights(in: compressed), in: compressed).whole() else {
      throw doesNotCompose(in: compressed)
    }
    return kernel
  }

  /// The weights of the parts, each of its convolution's kernel shape.
  ///
  /// - Throws: `Failure` where the parts that the record names are missing or have other shapes.
  package func weights(in compressed: Checkpoint) throws -> [Tensor<Double>] {
    let weights = try parts.map { part -> Tensor<Double> in
      guard let layer = compressed.layers.first(where: { $0.name == part }) else {
        throw damaged(compressed, "the record names '\(part)', which the file does not hold")
      }
      return try compressed.parameter(layer.kernel)
    }
    let convolutions = stages.convolutions
    guard weights.count == convolutions.count,
      zip(weights, convolutions).allSatisfy({ $0.count == $1.parameterCount })
    else { throw damaged(compressed, "its parts do not have the shapes that the record states") }
    return zip(weights, convolutions).map { $0.reshaped($1.kernelShape) }
  }

  /// The kernel that weights stand for, to be composed part by part.
  ///
  /// - Parameter weights: as `weights` gives them.
  /// - Throws: `Failure` where the stages do not compose to a kernel of the layer's shape.
  package func kernel(of weights: [Tensor<Double>], in compressed: Checkpoint) throws -> ComposedKernel {
    guard let kernel = ComposedKernel(stages, weights: weights, layer: convolution) else {
      throw doesNotCompose(in: compressed)
    }
    return kernel
  }

  /// Says that the stages are not those of the layer.
  package func doesNotCompose(in compressed: Checkpoint) -> Failure {
    damaged(compressed, "its stages do not compose to a kernel of shape \(convolution.kernelShape)")
  }

  private func damaged(_ compressed: Checkpoint, _ reason: String) -> Failure {
    Failure(
      compressed.path, "layer '\(name)' cannot be checked", reason,
      remedy: "apply the plan again")
  }
}

import Checkpoints
import Decompositions
import ModelGraph
import Rounding
import Running
import TensorCore

extension [PlannedLayer] {
  /// Fits the layers side by side, each by itself; nil for those that keep their dense kernel.
  ///
  /// - Parameter norm: the norm in which a layer's kernel is fitted; nil for that of its weights.
  /// - Throws: `Failure` where a kernel cannot be read, or LAPACK does not converge.
  package func fitted(
    of checkpoint: Checkpoint, seed: UInt64, workers: Workers, progress: ProgressHandler,
    norm: @escaping @Sendable (Layer) -> FitNorm? = { _ in nil }
  ) throws -> [FittedLayer?] {
    let counter = Counter()
    return try workers.map(self) { item in
      let fitted = try item.candidate.map { candidate in
        try candidate.fit(checkpoint.kernel(of: item.layer), norm: norm(item.layer), seed: seed)
      }
      progress("fit", counter.next(), of: count, item.layer.name)
      return fitted
    }
  }

  /// Fits the layers side by side, each by itself, and rounds those that are stored as integers.
  ///
  /// - Parameter norm: the norm in which a layer's kernel is fitted and rounded; nil for that of its weights.
  /// - Throws: `Failure` where a kernel cannot be read, or LAPACK does not converge.
  package func compressed(
    of checkpoint: Checkpoint, seed: UInt64, workers: Workers, progress: ProgressHandler,
    norm: @escaping @Sendable (Layer) -> FitNorm? = { _ in nil }
  ) throws -> [CompressedLayer] {
    let fitted = try fitted(of: checkpoint, seed: seed, workers: workers, progress: progress, norm: norm)
    let counter = Counter()
    return try workers.map(Array<Int>(indices)) { index in
      let item = self[index]
      let kernel = try checkpoint.kernel(of: item.layer)
      defer { progress("round", counter.next(), of: count, item.layer.name) }
      let rounded = try item.storage.width.map { _ in
        try item.rounded(fitted[index], towards: item.layer.objectives(kernel, norm: norm(item.layer)))
      }
      return CompressedLayer(fitted[index], rounded.flatMap(\.self), of: kernel)
    }
  }
}

extension Layer {
  /// The kernels of the layer's groups, each with the norm of its errors.
  ///
  /// - Throws: `Failure` where the kernel is not finite.
  package func objectives(_ kernel: Tensor<Double>, norm: FitNorm?) throws -> [FitObjective] {
    try kernel.groupBlocks(convolution.groups, shape: convolution.kernelShapePerGroup).map {
      try FitObjective($0, norm: norm)
    }
  }
}

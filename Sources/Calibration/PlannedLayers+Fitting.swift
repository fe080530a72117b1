import Checkpoints
import Decompositions
import ModelGraph
import Running

extension [PlannedLayer] {
  /// Fits the layers side by side, each by itself.
  ///
  /// - Parameter norm: the norm in which a layer's kernel is fitted; nil for that of its weights.
  /// - Throws: `Failure` where a kernel cannot be read, or LAPACK does not converge.
  package func fitted(
    of checkpoint: Checkpoint, seed: UInt64, workers: Workers, progress: ProgressHandler,
    norm: @escaping @Sendable (Layer) -> FitNorm? = { _ in nil }
  ) throws -> [FittedLayer] {
    let counter = Counter()
    return try workers.map(self) { item in
      let kernel = try checkpoint.kernel(of: item.layer)
      let fitted = try item.candidate.fit(kernel, norm: norm(item.layer), seed: seed)
      progress("fit", counter.next(), of: count, item.layer.name)
      return fitted
    }
  }
}

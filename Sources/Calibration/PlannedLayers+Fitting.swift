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
      defer { progress("fit", counter.next(), of: count, item.layer.name) }
      return try item.fitted(of: checkpoint, norm: norm(item.layer), seed: seed)
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
    let (fits, roundings) = (Counter(), Counter())
    // One layer after the other to its end: beyond its weights nothing of a fit is held.
    return try workers.map(self) { item in
      let fitted = try item.fitted(of: checkpoint, norm: norm(item.layer), seed: seed)
      progress("fit", fits.next(), of: count, item.layer.name)
      defer { progress("round", roundings.next(), of: count, item.layer.name) }
      guard item.storage != .float else {
        return try CompressedLayer(fitted, nil, of: checkpoint.kernel(of: item.layer))
      }
      let kernel = try checkpoint.kernel(of: item.layer)
      let rounded = try item.rounded(fitted, towards: item.layer.objectives(kernel, norm: norm(item.layer)))
      return CompressedLayer(fitted, rounded, of: kernel)
    }
  }
}

extension PlannedLayer {
  /// The layer's factors; nil where it keeps its dense kernel.
  ///
  /// - Throws: `Failure` where the kernel cannot be read, or LAPACK does not converge.
  fileprivate func fitted(of checkpoint: Checkpoint, norm: FitNorm?, seed: UInt64) throws -> FittedLayer? {
    guard let candidate else { return nil }
    if norm == nil, checkpoint.hasParts(layer) {
      let layer = layer
      let parts = KernelParts(shape: layer.kernelShape) { try checkpoint.kernel(of: layer, mode: $0, range: $1) }
      if let fitted = try candidate.fit(parts) { return fitted }
    }
    return try candidate.fit(checkpoint.kernel(of: layer), norm: norm, seed: seed)
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

import Basics
import Checkpoints
import Formats
import Networks
import Plans
import Running

/// A compressed checkpoint before it is written: a first version goes to a temporary folder, is read back and measured, and what
/// was measured becomes what the record promises.
package struct Draft {
  /// What came of running the network, on samples of what it will see where there were some, else on random inputs.
  package enum NetworkMeasurement: Sendable {
    case compared(NetworkComparison)
    /// The network was not run, and why.
    case absent(String)

    package var comparison: NetworkComparison? { if case .compared(let comparison) = self { comparison } else { nil } }
  }

  private var target: Checkpoint
  /// Once the draft has been read back, without the weights that it holds.
  private var replacements: [Replacement]
  /// The draft as it was read back, with these weights.
  private var written: Checkpoint?
  /// Nil for a file that is as good as an original.
  private var record: Record?
  /// What was measured of every compressed layer.
  package private(set) var layers: [LayerCheck] = []
  package private(set) var network = NetworkMeasurement.absent("it has not been measured")

  /// - Parameters:
  ///   - target: the checkpoint with everything but the replacements.
  ///   - record: what the file will remember; its promises are replaced by what is measured. Nil for an uncompressed file.
  package init(_ target: Checkpoint, replacing replacements: consuming [Replacement] = [], record: Record?) {
    self.target = target
    self.replacements = replacements
    self.record = record
  }

  /// Writes a first version in a temporary folder, reads it back and measures its layers and its network against the original.
  ///
  /// - Parameters:
  ///   - companions: what the written file needs to be opened.
  ///   - samples: random inputs that the network runs on.
  ///   - data: samples of what it will see, on which it runs too.
  ///   - promisesAnew: whether what is measured of the layers becomes what the record promises.
  ///   - again: whether the checkpoint was measured before: a network that was not run then is not run now.
  /// - Throws: `Failure` where the draft cannot be written or read, or its layers do not compose to kernels.
  package mutating func measure(
    against original: Checkpoint?, _ companions: Companions, seed: UInt64, samples: Int, data: CalibrationSource? = nil,
    promisesAnew: Bool, again: Bool = false, workers: Workers, progress: ProgressHandler
  ) throws {
    guard var record else { return }
    let compressed = try target.rereading(
      replacing: replacements, record: record.json, as: CheckpointPath(target.path).compressed, companions: companions)
    written = compressed
    replacements = replacements.map { $0.storage == .float ? $0.with(weights: []) : $0 }
    let kind = NetworkKinds.of(compressed)
    layers = try record.checkLayers(
      in: compressed, original: original, seed: seed, workers: workers, progress: progress)
    if promisesAnew {
      record.promise(
        Dictionary(layers.compactMap { check in check.discrepancy.map { (check.name, $0) } }) { first, _ in first })
    }
    if let original, !again || record.network != nil {
      do {
        let comparison = try kind.compared(
          with: original, on: .random(seed: seed, count: samples), workers: workers, progress: progress)
        network = .compared(comparison)
        record.network = Record.NetworkRecord(
          samples: comparison.samples, seed: seed, relativeDiscrepancy: comparison.worst.relativeDiscrepancy)
      } catch let failure as Failure {
        network = .absent(sentence(of: failure, about: compressed))
        record.network = nil
      }
    }
    if let original, let data, kind.comparesOnData {
      do {
        let comparison = try kind.compared(with: original, on: .data(data), workers: workers, progress: progress)
        network = .compared(comparison)
        if record.sampleDiscrepancy != nil { record.sampleDiscrepancy = comparison.worst.relativeDiscrepancy }
      } catch let failure as Failure {
        if network.comparison == nil { network = .absent(sentence(of: failure, about: compressed)) }
        record.sampleDiscrepancy = nil
      }
    }
    self.record = record
  }

  /// What kept the network from running. The draft's own path is nobody's business.
  private func sentence(of failure: Failure, about draft: Checkpoint) -> String {
    let subject = failure.subject == draft.path ? [] : [failure.subject]
    return (subject + [failure.problem]).joined(separator: " ") + ": " + failure.reason
  }

  /// Takes the kernels that the factors stand for in place of the factors: the file then has the original's form.
  ///
  /// - Throws: `Failure` when a value is no finite number of its tensor's type.
  package mutating func compose() throws {
    guard let record else { return }
    target = try target.substituting(kernels: record.kernels(of: filled()))
    replacements = []
    self.record = nil
  }

  /// Writes the checkpoint, for which the draft is used up.
  ///
  /// - Throws: `Failure` where the file exists and may not be replaced, or cannot be written.
  package consuming func write(to path: String, overwrite: Bool) throws {
    let filled = try filled()
    // The weights are not needed twice.
    written = nil
    try target.write(replacing: filled, record: record?.json, to: path, overwrite: overwrite)
  }

  /// The replacements with their weights, those of the draft where it has been written: the same numbers, as the file holds them.
  private func filled() throws -> [Replacement] {
    guard let written, let record else { return replacements }
    let layers = Dictionary(record.layers.map { ($0.name, $0) }) { first, _ in first }
    return try replacements.map { replacement in
      guard replacement.storage == .float, let layer = layers[replacement.layer] else { return replacement }
      return replacement.with(weights: try layer.weights(in: written))
    }
  }
}

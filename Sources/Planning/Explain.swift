import Basics
import Checkpoints
import Decompositions
import Formats
import ModelGraph
import Networks
import Plans
import Running
import TensorCore

/// What the user asks `explain` for.
package struct ExplainRequest: Job {
  /// How small the kernel shall become.
  package enum Size: Sendable {
    /// Times fewer parameters than the dense kernel has.
    case ratio(Double)
    case parameters(Int)
  }

  package var checkpoint: String
  package var layer: String
  package var size: Size
  /// The structures to try; empty for all.
  package var structures: [String]
  package var seed: UInt64
  /// The widths in which weights are rounded as well.
  package var bits: [BitWidth]
  package var companions: Companions
  /// Samples of what the network will see; nil compares in the norm of the weights.
  package var calibration: CalibrationSource?

  package init(
    checkpoint: String, layer: String, size: Size, structures: [String] = [], seed: UInt64 = 0,
    bits: [BitWidth] = [], companions: Companions = Companions(), calibration: CalibrationSource? = nil
  ) {
    self.bits = bits
    self.companions = companions
    self.calibration = calibration
    self.checkpoint = checkpoint
    self.layer = layer
    self.size = size
    self.structures = structures.isEmpty ? Structures.names : structures
    self.seed = seed
  }

  /// Finds the best candidate of every structure for one layer.
  ///
  /// - Throws: `Failure` for an unknown layer, one that has to stay dense, and a size that no kernel can have.
  package func run(workers: Workers, progress: ProgressHandler) throws -> Explanation {
    let checkpoint = try CheckpointSource(path: self.checkpoint, companions: companions).open()
    let layer = try checkpoint.layer(named: self.layer)
    if let refusal = layer.refusal {
      throw Failure(self.checkpoint, "layer '\(layer.name)' has no candidates", refusal)
    }
    let kernel = try checkpoint.kernel(of: layer)
    let limit =
      switch size {
      case .ratio(let ratio): Int((Double(kernel.count) / ratio).rounded(.down))
      case .parameters(let count): count
      }
    guard (1..<max(2, kernel.count)).contains(limit) else {
      throw Failure(
        self.checkpoint, "layer '\(layer.name)' cannot have \(limit) parameters",
        "its dense kernel has \(kernel.count)", remedy: "expected at least 1 and fewer than that")
    }
    let calibrator = try calibration.map { try NetworkKinds.of(checkpoint).calibrator($0, workers: workers) }
    let norm = try calibrator?.statistics(of: [layer], progress: progress)[layer.name]?.norm
    let counter = Counter()
    let tried = try structures.map(Structures.named)
    @Sendable func best(_ structure: any Structure, parameters: Int) throws -> Candidate? {
      let search = try PatternSearch(
        kernel, norm: norm, convolution: layer.convolution, hasBias: layer.bias != nil, seed: seed
      ) { checkpoint.refusal(of: $1, for: layer) == nil }
      return try search.best(of: structure, parameters: parameters, effort: .thorough)
    }
    let found = try workers.map(tried) { structure -> Candidate? in
      defer { progress("fit", counter.next(), of: tried.count, structure.name) }
      return try best(structure, parameters: limit)
    }
    let order = found.indices.sorted {
      (found[$0]?.outputDiscrepancy ?? .infinity, $0) < (found[$1]?.outputDiscrepancy ?? .infinity, $1)
    }
    let candidates = order.compactMap { found[$0] }
    let more = limit + 10_000 * 8 / layer.dtype.bits
    let larger =
      try more < kernel.count
      ? candidates.first.flatMap { try best(Structures.named($0.structure), parameters: more) } : nil
    let curve = try candidates.first.map { best in
      try Sweep(structures: [Structures.named(best.structure)]).candidates(
        for: kernel, norm: norm, convolution: layer.convolution, hasBias: layer.bias != nil, seed: seed
      ) { checkpoint.refusal(of: $1, for: layer) == nil }
    }
    return Explanation(
      layer: layer, limit: limit, candidates: candidates,
      absent: zip(structures, found).filter { $0.1 == nil }.map(\.0), larger: larger,
      curve: curve ?? [],
      rounded: bits.isEmpty
        ? []
        : try ExplainedRounding.all(candidates, of: layer, in: checkpoint, norm: norm, widths: bits, seed: seed),
      isCalibrated: norm != nil, notices: calibrator?.notices ?? [])
  }
}

/// What every structure reaches for one layer at one size, fitted as hard as the written factors are.
package struct Explanation: Sendable {
  package let layer: Layer
  /// The most parameters that a candidate may have, its bias aside.
  package let limit: Int
  /// The candidates by ascending discrepancy, of the layer's output where there are samples; one for each structure
  /// that has any.
  package let candidates: [Candidate]
  /// Structures without a candidate of this size that the layer can run.
  package let absent: [String]
  /// The best structure again with 10 kB more; nil where the dense kernel is no larger.
  package let larger: Candidate?
  /// The best structure's curve by ascending parameters, as the plan's sweep fits it.
  package let curve: [Candidate]
  /// The dense kernel, then the candidates, in every width that was asked for and can be stored.
  package let rounded: [ExplainedRounding]
  /// Whether candidates were compared by what they do to the network's outputs on samples.
  package let isCalibrated: Bool
  /// What the user should know about the samples.
  package let notices: [String]

  package var json: JSON {
    [
      "layer": .string(layer.name), "shape": .integers(layer.kernelShape),
      "parameters": .integer(layer.convolution.parameterCount), "limit": .integer(limit),
      "candidates": .array(
        candidates.map { candidate in
          [
            "structure": .string(candidate.structure), "shapes": .array(candidate.shapes.map(JSON.integers)),
            "ranks": .integers(candidate.ranks), "parameters": .integer(candidate.parameterCount),
            "macs": .optional(layer.macs(candidate.stages), JSON.integer),
            "macs_per_position": .integer(candidate.macsPerPosition),
            "discrepancy": .real(candidate.discrepancy),
            "output_discrepancy": isCalibrated ? .real(candidate.outputDiscrepancy) : .null,
            "stages": JSON(stages: candidate.stages),
          ]
        }),
      "runner_up": .optional(candidates.dropFirst().first) { .string($0.structure) },
      "another_10kB": .optional(larger) {
        [
          "parameters": .integer($0.parameterCount), "ranks": .integers($0.ranks), "discrepancy": .real($0.discrepancy),
          "output_discrepancy": isCalibrated ? .real($0.outputDiscrepancy) : .null,
        ]
      },
      "absent": .strings(absent), "rounded": .array(rounded.map(\.json)),
      "curve": .array(
        curve.map {
          [
            "structure": .string($0.structure), "ranks": .integers($0.ranks), "parameters": .integer($0.parameterCount),
            "discrepancy": .real($0.discrepancy),
          ]
        }),
    ]
  }
}

extension Checkpoint {
  /// - Throws: `Failure` naming layers with similar names where there is none.
  fileprivate func layer(named name: String) throws -> Layer {
    if let layer = layers.first(where: { $0.name == name }) { return layer }
    let similar = layers.map(\.name).filter { $0.contains(name) || name.contains($0) }
    let shown = (similar.isEmpty ? layers.map(\.name) : similar).prefix(6).map { "'\($0)'" }
    throw Failure(
      path, "has no layer '\(name)'", "no layer with a kernel has this name",
      remedy: shown.isEmpty ? "kcompress inspect lists them" : "for example \(shown.joined(separator: ", "))")
  }
}

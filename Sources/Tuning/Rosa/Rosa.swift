import Basics
import Checkpoints
import Formats
import Foundation
import Running
import TensorCore
import Training

/// What the user asks `rosa split` and `rosa draw` for.
package struct RosaRequest: Job {
  /// The whole checkpoint for a split, the frozen one for a draw.
  package var checkpoint: String
  /// The factors that belong to it; nil for a split.
  package var factors: String?
  package var ranks: [RankRule]
  package var draw: Draw
  package var seed: UInt64
  /// Where the frozen checkpoint goes.
  package var output: String?
  /// Where the factors go; nil puts them beside the frozen checkpoint.
  package var factorsOutput: String?
  /// A folder for the factors in the layout of Hugging Face PEFT; nil for none.
  package var adapter: String?
  package var overwrite: Bool

  package init(
    checkpoint: String, factors: String? = nil, ranks: [RankRule], draw: Draw, seed: UInt64 = 0, output: String? = nil,
    factorsOutput: String? = nil, adapter: String? = nil, overwrite: Bool = false
  ) {
    self.checkpoint = checkpoint
    self.factors = factors
    self.ranks = ranks
    self.draw = draw
    self.seed = seed
    self.output = output
    self.factorsOutput = factorsOutput
    self.adapter = adapter
    self.overwrite = overwrite
  }
}

/// What `rosa` wrote.
package struct RosaResult: Sendable {
  package struct LayerResult: Sendable {
    package let name: String
    package let shape: [Int]
    package let rank: Int
    package let parameters: Int
  }

  package let output: String
  package let factors: String?
  package let adapter: String?
  package let layers: [LayerResult]
  package let notices: [String]

  package var json: JSON {
    [
      "output": .string(output), "factors": .optional(factors, JSON.string), "adapter": .optional(adapter, JSON.string),
      "layers": .array(
        layers.map {
          [
            "name": .string($0.name), "shape": .integers($0.shape), "rank": .integer($0.rank),
            "parameters": .integer($0.parameters),
          ]
        }), "notices": .strings(notices),
    ]
  }
}

extension RosaRequest {
  /// Splits the kernels of a checkpoint into frozen parts and products of low rank; where it has factors already, they are merged
  /// first and others drawn (ROSA: Hameed et al., 2024). What both make together stays the same to rounding.
  ///
  /// - Throws: `Failure`; nothing is left behind then.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RosaResult {
    guard let adapter else { return try split(adapter: nil, workers: workers) }
    return try OutputFolder.with(adapter, option: "--adapter") {
      try split(adapter: AdapterFolder(path: adapter), workers: workers)
    }
  }

  private func split(adapter folder: AdapterFolder?, workers: Workers) throws -> RosaResult {
    let checkpoint = try CheckpointSource(path: self.checkpoint).open()
    let known = try self.factors.map { try LowRankFile(path: $0).checked(against: checkpoint) }
    let output = self.output ?? CheckpointPath(self.checkpoint).frozen
    let factorsPath = factorsOutput ?? CheckpointPath(output).factors
    let targets = [OutputSet.Target(factorsPath, option: "--factors-output")] + (folder?.targets ?? [])
    try OutputSet([.init(output, option: "-o")] + targets).check(
      inputs: [(self.checkpoint, "the checkpoint")] + (self.factors.map { [($0, "the factors")] } ?? []),
      overwrite: overwrite)
    let layers = checkpoint.layers.filter { layer in
      known.map { $0.factors[layer.name] != nil } ?? ranks.contains { $0.layers.matches(layer.name) }
    }
    guard !layers.isEmpty else {
      throw Failure(
        self.checkpoint, "has no layer to split", "no kernel's layer matches --rank", remedy: "see inspect")
    }
    let parts = try workers.map(Array(layers.enumerated())) { index, layer in
      var kernel = try checkpoint.kernel(of: layer).converted(to: Float.self)
      if let factors = known?.factors[layer.name] { kernel = factors.merged(into: kernel) }
      let (rows, columns) = LowRankFactors.unfolding(kernel.shape)
      let rule = ranks.last { $0.layers.matches(layer.name) }
      let rank = rule?.rank(side: min(rows, columns)) ?? known?.factors[layer.name]?.rank ?? 1
      var generator = SplitMix64(seed: seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
      return try LowRankFactors.split(kernel, rank: rank, draw, using: &generator)
    }
    let frozen = Dictionary(
      uniqueKeysWithValues: zip(layers, parts).map { ($0.name, $1.frozen.converted(to: Double.self)) })
    let factors = Dictionary(uniqueKeysWithValues: zip(layers, parts).map { ($0.name, $1.factors) })
    let content = try folder?.content(of: factors, layers)
    try OutputFile.staging(output) { staged in
      try checkpoint.substituting(kernels: frozen)
        .write(replacing: [], record: checkpoint.record, to: staged, overwrite: false)
      let file = LowRankFile(
        factors: factors, shapes: Dictionary(uniqueKeysWithValues: layers.map { ($0.name, $0.kernelShape) }),
        frozenSHA256: try Checkpoint.open(staged).sha256)
      let others = zip(targets, [file.fileBytes] + (content?.files ?? [])).map { (target: $0, bytes: $1) }
      try OutputFile.writeSet(others, staged: staged, as: .init(output, option: "-o"), overwrite: overwrite)
    }
    return RosaResult(
      output: output, factors: factorsPath, adapter: adapter,
      layers: zip(layers, parts).map {
        .init(name: $0.name, shape: $0.kernelShape, rank: $1.factors.rank, parameters: $1.factors.parameterCount)
      }, notices: content?.notices ?? [])
  }
}

/// What the user asks `rosa merge` for.
package struct RosaMergeRequest: Job {
  /// The checkpoint with the frozen parts.
  package var frozen: String
  package var factors: String
  /// Where the merged checkpoint goes; nil puts it beside the frozen one.
  package var output: String?
  package var overwrite: Bool

  package init(frozen: String, factors: String, output: String? = nil, overwrite: Bool = false) {
    (self.frozen, self.factors, self.output, self.overwrite) = (frozen, factors, output, overwrite)
  }

  /// Adds the products to the frozen parts: the checkpoint as it was before the split, or as training the factors made it.
  ///
  /// - Throws: `Failure`; nothing is left behind then.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RosaResult {
    let checkpoint = try CheckpointSource(path: frozen).open()
    let file = try LowRankFile(path: factors).checked(against: checkpoint)
    let output = self.output ?? CheckpointPath(frozen).merged
    try OutputSet([.init(output, option: "-o")]).check(
      inputs: [(frozen, "the frozen checkpoint"), (factors, "the factors")], overwrite: overwrite)
    let layers = checkpoint.layers.filter { file.factors[$0.name] != nil }
    var kernels: [String: Tensor<Double>] = [:]
    for layer in layers {
      let kernel = try checkpoint.kernel(of: layer)
      kernels[layer.name] = file.factors[layer.name]?.merged(into: kernel.converted(to: Float.self)).converted(
        to: Double.self)
    }
    try checkpoint.substituting(kernels: kernels)
      .write(replacing: [], record: checkpoint.record, to: output, overwrite: overwrite)
    return RosaResult(
      output: output, factors: nil, adapter: nil,
      layers: layers.compactMap { layer in
        file.factors[layer.name].map {
          .init(name: layer.name, shape: layer.kernelShape, rank: $0.rank, parameters: $0.parameterCount)
        }
      }, notices: [])
  }
}

extension LowRankFile {
  /// - Throws: `Failure` where the factors belong to another checkpoint.
  fileprivate func checked(against checkpoint: Checkpoint) throws -> LowRankFile {
    guard checkpoint.sha256 == frozenSHA256 else {
      throw Failure(
        checkpoint.path, "does not belong to the factors",
        "its SHA-256 is \(checkpoint.sha256.prefix(12))..., they were split from \(frozenSHA256.prefix(12))...",
        remedy: "give the frozen checkpoint that rosa wrote with them")
    }
    for (name, shape) in shapes {
      guard let layer = checkpoint.layers.first(where: { $0.name == name }), layer.kernelShape == shape else {
        throw Failure(checkpoint.path, "does not belong to the factors", "it has no layer '\(name)' of shape \(shape)")
      }
    }
    return self
  }
}

import Basics
import Foundation
import ModelGraph
import TensorCore

/// What apply leaves in a compressed checkpoint, so that verify can check it against the original without the plan.
package struct Record: Sendable, Equatable {
  /// The schema that a record states.
  package static let schema = "kcompress.record/2"
  /// The schemas that are read: the first version stated everything.
  private static let readSchemas = ["kcompress.record/1", schema]

  /// What a layer has become.
  package struct LayerRecord: Sendable, Equatable {
    /// The original layer's name.
    package var name: String
    /// The dense convolution that the stages replace.
    package var convolution: Convolution
    /// The name of the structure that the stages come from.
    package var structure: String
    /// The stages that compute the layer now.
    package var stages: [Stage]
    /// How their weights are stored.
    package var storage: WeightStorage
    /// The layers of the compressed checkpoint that hold the weights, one for each convolution among the stages.
    package var parts: [String]
    /// The relative discrepancy of the kernel that the plan promised.
    package var promised: Double

    /// Makes the record of a layer from its parts.
    package init(
      name: String, convolution: Convolution, structure: String, stages: [Stage], storage: WeightStorage = .float,
      parts: [String], promised: Double
    ) {
      self.name = name
      self.convolution = convolution
      self.structure = structure
      self.stages = stages
      self.storage = storage
      self.parts = parts
      self.promised = promised
    }
  }

  /// What apply measured on the network, and the inputs that it used.
  package struct NetworkRecord: Sendable, Equatable {
    /// The number of random samples.
    package var samples: Int
    /// The seed of the random samples.
    package var seed: UInt64
    /// The relative discrepancy of the outputs that apply measured.
    package var relativeDiscrepancy: Double

    /// Makes the record of a network of its parts.
    package init(samples: Int, seed: UInt64, relativeDiscrepancy: Double) {
      self.samples = samples
      self.seed = seed
      self.relativeDiscrepancy = relativeDiscrepancy
    }
  }

  /// The original's file name, and its folder relative to the compressed file or absolute as the user gave it.
  package var originalPath: String
  /// The SHA-256 of the original in hexadecimal (`Checkpoint.sha256`).
  package var originalSHA256: String
  /// The original's architecture where it came in a file of its own.
  package var originalArchitecture: String?
  /// How the original's tensors were read, where they come without a network.
  package var originalStateDict: StateDictOptions
  /// The compressed layers.
  package var layers: [LayerRecord]
  /// What was measured on the network; nil where it could not be run.
  package var network: NetworkRecord?
  /// The relative discrepancy of the outputs on samples of what the network will see; nil where there were none.
  package var sampleDiscrepancy: Double?

  /// Makes a record of its parts.
  package init(
    originalPath: String, originalSHA256: String, originalArchitecture: String?,
    originalStateDict: StateDictOptions = StateDictOptions(), layers: [LayerRecord], network: NetworkRecord?,
    sampleDiscrepancy: Double? = nil
  ) {
    self.originalPath = originalPath
    self.originalSHA256 = originalSHA256
    self.originalArchitecture = originalArchitecture
    self.originalStateDict = originalStateDict
    self.layers = layers
    self.network = network
    self.sampleDiscrepancy = sampleDiscrepancy
  }

  /// What outputs may differ by at most where they were measured to differ so: half as much again.
  package static func promise(_ discrepancy: Double) -> Double { 1.5 * discrepancy + 1e-4 }
}

extension Record {
  /// The record as the file holds it. Numbers have a fixed width, so that the size of the file is known before they are
  /// measured.
  package var json: JSON {
    var result: JSONObject = [
      "schema": .string(Self.schema),
      "original": .object(original),
      "layers": .array(layers.map { .object($0.entry) }),
      "network": .optional(network) { network in
        [
          "samples": .integer(network.samples), "seed": .seed(network.seed),
          "relative_discrepancy": Self.fixedWidth(network.relativeDiscrepancy),
        ]
      },
    ]
    result["samples"] = sampleDiscrepancy.map { ["relative_discrepancy": Self.fixedWidth($0)] }
    return .object(result)
  }

  /// Sets what the layers' kernels may differ by from the original's, by name.
  package mutating func promise(_ discrepancies: [String: Double]) {
    for index in layers.indices {
      if let discrepancy = discrepancies[layers[index].name] { layers[index].promised = discrepancy }
    }
  }

  private var original: JSONObject {
    var result: JSONObject = ["path": .string(originalPath), "sha256": .string(originalSHA256)]
    result["architecture"] = originalArchitecture.map(JSON.string)
    for (key, value) in originalStateDict.pairs { result[key] = value }
    return result
  }

  /// Reads a record.
  ///
  /// - Throws: `Failure` where a part is missing or malformed.
  package init(_ json: JSON) throws {
    func missing(_ key: String) -> Failure {
      Failure("the record of kcompress", "is damaged", "'\(key)' is missing or malformed")
    }
    guard let schema = json["schema"]?.string, Self.readSchemas.contains(schema) else { throw missing("schema") }
    guard let path = json["original"]?["path"]?.string,
      let hash = json["original"]?["sha256"]?.string
    else { throw missing("original") }
    guard let layerValues = json["layers"]?.array else { throw missing("layers") }
    originalPath = path
    originalSHA256 = hash
    originalArchitecture = json["original"]?["architecture"]?.string
    originalStateDict = StateDictOptions(
      prefix: json["original"]?["prefix"]?.string,
      linear: (json["original"]?["linear"]?.strings ?? []).map { Glob($0) },
      modules: json["original"]?["modules"]?.string)
    layers = try layerValues.map { value in
      guard let layer = try LayerRecord(value) else { throw missing("layers") }
      return layer
    }
    if let value = json["network"], !value.isNull {
      guard let samples = value["samples"]?.integer, let seed = value["seed"]?.seed,
        let discrepancy = value["relative_discrepancy"]?.real
      else { throw missing("network") }
      network = NetworkRecord(
        samples: samples, seed: seed, relativeDiscrepancy: discrepancy)
    }
    if let value = json["samples"], !value.isNull {
      guard let discrepancy = value["relative_discrepancy"]?.real else { throw missing("samples") }
      sampleDiscrepancy = discrepancy
    }
  }

  /// A non-negative number in scientific notation: twelve characters, whatever its value.
  fileprivate static func fixedWidth(_ value: Double) -> JSON {
    .number(String(format: "%.6e", value.isFinite ? min(abs(value), 1e99) : 1e99))
  }
}

extension Record.LayerRecord {
  /// The layer as the file holds it, its stages as text (`StageText`). What follows from the rest is left out: the structure, the stages and the
  /// parts of a layer that keeps its form, and its name at the beginning of its parts' names.
  fileprivate var entry: JSONObject {
    var entry: JSONObject = ["name": .string(name), "dense": .string(StageText.text(of: [.convolution(convolution)]))]
    if structure != Replacement.dense || stages != [.convolution(convolution)] || parts != [name] {
      entry["structure"] = .string(structure)
      entry["stages"] = .string(StageText.text(of: stages))
      if !parts.allSatisfy({ $0.hasPrefix(name) }) {
        entry["parts"] = .strings(parts)
      } else if parts != Self.usualParts(of: stages, name) {
        entry["suffixes"] = .strings(parts.map { String($0.dropFirst(name.count)) })
      }
    }
    entry["promised"] = Record.fixedWidth(promised)
    entry["bits"] = storage.width.map { .integer($0.rawValue) }
    return entry
  }

  /// The parts of a sequence of stages that are named by their positions.
  private static func usualParts(of stages: [Stage], _ name: String) -> [String] {
    stages.enumerated().compactMap { if case .convolution = $1 { "\(name).\($0)" } else { nil } }
  }

  /// Reads what `json` states; nil where a part is missing or malformed.
  ///
  /// - Throws: `Failure` where a stage is invalid.
  fileprivate init?(_ json: JSON) throws {
    func stages(_ key: String) throws -> [Stage]? {
      try json[key].map { try [Stage](parsing: $0.string.map(StageText.json) ?? $0) }
    }
    guard let name = json["name"]?.string, let promised = json["promised"]?.real,
      let dense = try stages("dense")?.convolutions.first
    else { return nil }
    var storage = WeightStorage.float
    if let bits = json["bits"] {
      guard let width = bits.integer.flatMap(BitWidth.init) else { return nil }
      storage = .integers(width)
    }
    guard let own = try stages("stages") else {
      guard json["structure"] == nil, json["parts"] == nil, json["suffixes"] == nil else { return nil }
      self.init(
        name: name, convolution: dense, structure: Replacement.dense, stages: [.convolution(dense)], storage: storage,
        parts: [name], promised: promised)
      return
    }
    guard let structure = json["structure"]?.string, let parts = Self.parts(json, name, own) else { return nil }
    self.init(
      name: name, convolution: dense, structure: structure, stages: own, storage: storage, parts: parts,
      promised: promised)
  }

  private static func parts(_ json: JSON, _ name: String, _ stages: [Stage]) -> [String]? {
    if let parts = json["parts"] { return parts.strings }
    if let suffixes = json["suffixes"] { return suffixes.strings?.map { name + $0 } }
    return usualParts(of: stages, name)
  }
}

extension Checkpoint {
  /// Reads what apply left in the file; nil in an uncompressed one.
  ///
  /// - Throws: `Failure` naming the file where the record is damaged.
  package func compressionRecord() throws -> Record? {
    try record.map { json in try Failure.within(path) { try Record(json) } }
  }
}

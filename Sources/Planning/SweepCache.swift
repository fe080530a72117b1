import Basics
import Calibration
import Checkpoints
import Decompositions
import Foundation
import Hashing
import ModelGraph
import Plans
import TensorCore

/// What sweeps found, one file for each layer, so that a plan for another budget need not search again. A file's name is a hash of all
/// that its contents follow from, and so nothing in it is ever out of date; the folder may be deleted at any time.
struct SweepCache: Sendable {
  private let folder: String
  /// Everything but the layer.
  private let origin: String
  private let recipe: Recipe
  private let bits: [BitWidth]
  /// What the format has for a width.
  private let storage: @Sendable (BitWidth) -> WeightStorage

  /// Changes with everything that makes a sweep come out otherwise.
  private static let version = 10

  /// - Throws: `Failure` where the samples or a companion cannot be read.
  init(folder: String, _ checkpoint: Checkpoint, _ request: PlanRequest) throws {
    self.folder = folder
    recipe = request.recipe
    bits = request.bits ?? []
    storage = { checkpoint.storage($0) }
    var parts = [
      "sweep \(Self.version)", checkpoint.sha256, request.recipe.structures.joined(separator: ","), "\(request.seed)",
      request.dtype?.rawValue ?? "", "\(request.rankMultiple)",
    ]
    let stateDict = checkpoint.content.stateDict
    parts.append(stateDict?.prefix ?? "")
    for path in [request.companions.graph, request.companions.architecture, stateDict?.modules].compactMap(\.self) {
      parts.append(SHA256.hexadecimal(of: try InputFile.read(path)))
    }
    if var calibration = request.calibration {
      parts.append(SHA256.hexadecimal(of: try InputFile.read(calibration.path)))
      calibration.path = ""
      parts.append(calibration.json.text())
    }
    origin = parts.joined(separator: "\n")
  }

  private func path(of layer: Layer) -> String {
    let widths = recipe.widths(bits, for: layer.name).map { "\($0.rawValue)" }.joined(separator: ",")
    let key = SHA256.hexadecimal(of: Array("\(origin)\n\(widths)\n\(layer.name)".utf8))
    return (folder as NSString).appendingPathComponent("\(key.prefix(40)).json")
  }

  /// What is known of a layer; nil where nothing is known, or what is there cannot be read.
  func choices(of layer: Layer) -> LayerChoices? {
    guard let bytes = try? InputFile.read(path(of: layer)), let json = try? JSON(parsing: bytes),
      json["layer"]?.string == layer.name, let entries = json["candidates"]?.array
    else { return nil }
    let candidates = entries.compactMap { try? Candidate($0, of: layer) }
    guard candidates.count == entries.count else { return nil }
    guard let roundedEntries = json["rounded"]?.array else { return nil }
    let rounded = roundedEntries.compactMap { LayerChoices.Form($0, among: candidates, storage: storage) }
    guard rounded.count == roundedEntries.count else { return nil }
    return LayerChoices(
      layer: layer, candidates: candidates, refusal: json["refusal"]?.string, leftOut: json["left_out"]?.string,
      sensitivity: json["sensitivity"].flatMap(Sensitivity.init), rounded: rounded)
  }

  /// A cache that cannot be written is none.
  func keep(_ choices: LayerChoices) {
    let json: JSON = [
      "layer": .string(choices.layer.name), "refusal": .optional(choices.refusal, JSON.string),
      "left_out": .optional(choices.leftOut, JSON.string),
      "sensitivity": .optional(choices.sensitivity, \.json),
      "candidates": .array(choices.candidates.map(\.json)),
      "rounded": .array(choices.rounded.map { $0.json(among: choices.candidates) }),
    ]
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try? OutputFile.write(json.text().utf8, to: path(of: choices.layer), overwrite: true)
  }
}

extension LayerChoices.Form {
  /// A rounded form, its candidate by its place; null for the dense kernel.
  fileprivate func json(among candidates: [Candidate]) -> JSON {
    [
      "candidate": .optional(candidate.flatMap { candidates.firstIndex(of: $0) }, JSON.integer),
      "bits": .optional(storage.width) { .integer($0.rawValue) },
      "discrepancy": .real(discrepancy), "output_discrepancy": .real(outputDiscrepancy),
    ]
  }

  fileprivate init?(_ json: JSON, among candidates: [Candidate], storage: (BitWidth) -> WeightStorage) {
    guard let width = json["bits"]?.integer.flatMap(BitWidth.init), let discrepancy = json["discrepancy"]?.real,
      let outputDiscrepancy = json["output_discrepancy"]?.real, let place = json["candidate"],
      place.isNull || place.integer.map(candidates.indices.contains) == true
    else { return nil }
    self.init(
      candidate: place.integer.map { candidates[$0] }, storage: storage(width), discrepancy: discrepancy,
      outputDiscrepancy: outputDiscrepancy)
  }
}

extension Candidate {
  fileprivate var json: JSON {
    [
      "structure": .string(structure), "shapes": .array(shapes.map(JSON.integers)), "ranks": .integers(ranks),
      "discrepancy": .real(discrepancy), "output_discrepancy": .real(outputDiscrepancy), "note": .string(note),
    ]
  }

  fileprivate init(_ json: JSON, of layer: Layer) throws {
    guard let structure = json["structure"]?.string, let shapes = json["shapes"]?.array?.compactMap(\.integers),
      let ranks = json["ranks"]?.integers, let discrepancy = json["discrepancy"]?.real,
      let outputDiscrepancy = json["output_discrepancy"]?.real, let note = json["note"]?.string
    else { throw Failure("cache", "is malformed", "a candidate lacks a key") }
    try self.init(
      structure: structure, shapes: shapes, ranks: ranks, discrepancy: discrepancy,
      outputDiscrepancy: outputDiscrepancy, note: note, convolution: layer.convolution, hasBias: layer.bias != nil)
  }
}

import Basics
import Decompositions
import TensorCore

/// What a person asks of single layers: which stay as they are, which structures may replace them, how far.
///
/// As JSON: `{"structures": [...], "keep": [globs], "layers": [{"match": glob, "keep": bool, "structures": [...], "max_ratio": x,
/// "min_ratio": x, "max_discrepancy": x, "bits": [widths]}]}`; every key may be left out, every rule that matches a layer counts.
package struct Recipe: Sendable, Equatable {
  package struct Rule: Sendable, Equatable {
    package var match: Glob
    /// The layer stays dense.
    package var keep = false
    /// The structures that may replace the layer; nil for all.
    package var structures: [String]?
    /// The dense kernel's parameters may be at most, and must be at least, so many times those of its replacement.
    package var maximumRatio: Double?
    package var minimumRatio: Double?
    /// The most that ||W - What|| / ||W|| of the kernel may be.
    package var maximumDiscrepancy: Double?
    /// The widths in bits that the layer's weights may be stored in, beside their own type; nil for those of the plan, empty for none.
    package var bits: [BitWidth]?

    package init(match: Glob) { self.match = match }
  }

  package static let schema = "kcompress.recipe/1"

  /// The structures to try, in their own order.
  package var structures: [String]
  /// Layers whose names match one of these stay dense.
  package var keep: [Glob]
  package var rules: [Rule]

  /// - Parameter structures: empty for all.
  package init(structures: [String] = [], keep: [Glob] = [], rules: [Rule] = []) {
    self.structures = structures.isEmpty ? Structures.names : structures
    self.keep = keep
    self.rules = rules
  }

  /// - Throws: `Failure` for a file that is no recipe, naming the key.
  package init(path: String) throws {
    let bytes = try InputFile.read(path)
    self = try Failure.within(path) { try Self(json: JSON(parsing: bytes)) }
  }

  /// Reads a recipe.
  ///
  /// - Throws: `Failure` that names an unknown or malformed key, or a structure that there is none of.
  package init(json: JSON) throws {
    var reader = try JSONReader(json, "the recipe", schema: Self.schema)
    let structures = try reader.ifPresent("structures", \.strings, "a list of texts") ?? []
    try Self.check(structures, "the recipe")
    self.init(
      structures: structures,
      keep: (try reader.ifPresent("keep", \.strings, "a list of texts") ?? []).map { Glob($0) },
      rules: try (reader.ifPresent("layers", \.array, "a list") ?? []).enumerated().map { position, json in
        try Rule(json, "rule \(position)")
      })
    try reader.finish()
  }

  /// Checks names that a person may have written.
  ///
  /// - Throws: `Failure` that names the first that is no structure's.
  static func check(_ structures: [String], _ subject: String) throws {
    if let unknown = structures.first(where: { !Structures.names.contains($0) }) {
      throw Failure(
        subject, "names the structure '\(unknown)'", "there is none of this name",
        remedy: "expected \(Structures.names.joined(separator: ", "))")
    }
  }

  /// Why a layer stays dense without a search; nil where it need not.
  package func refusal(of layer: String) -> String? {
    if let glob = keep.first(where: { $0.matches(layer) }) { return "kept by --keep '\(glob.pattern)'" }
    return rules.first { $0.keep && $0.match.matches(layer) }.map {
      "kept by the recipe's rule for '\($0.match.pattern)'"
    }
  }

  /// Whether every rule for the layer lets the candidate, or nil for the dense kernel, replace it.
  package func accepts(_ candidate: Candidate?, for layer: String, parameters: Int) -> Bool {
    rules.allSatisfy { rule in
      guard rule.match.matches(layer) else { return true }
      let ratio = candidate.map { Double(parameters) / Double(max(1, $0.parameterCount)) } ?? 1
      guard let candidate else { return rule.minimumRatio.map { ratio >= $0 } ?? true }
      return rule.structures?.contains(candidate.structure) ?? true && rule.maximumRatio.map { ratio <= $0 } ?? true
        && rule.minimumRatio.map { ratio >= $0 } ?? true
        && rule.maximumDiscrepancy.map { candidate.discrepancy <= $0 } ?? true
    }
  }

  /// Whether every rule for the layer lets its weights be stored so.
  ///
  /// - Parameter discrepancy: of the kernel that they stand for then.
  package func accepts(_ storage: WeightStorage, discrepancy: Double, for layer: String) -> Bool {
    guard let width = storage.width else { return true }
    return rules.allSatisfy { rule in
      guard rule.match.matches(layer) else { return true }
      return rule.bits?.contains(width) ?? true && rule.maximumDiscrepancy.map { discrepancy <= $0 } ?? true
    }
  }

  /// The widths that a layer's weights may have, of those of the plan and those that rules name for it.
  package func widths(_ plan: [BitWidth], for layer: String) -> [BitWidth] {
    let named = rules.filter { $0.match.matches(layer) }.compactMap(\.bits)
    return BitWidth.allCases.filter { width in
      named.isEmpty ? plan.contains(width) : named.allSatisfy { $0.contains(width) }
    }
  }

  /// The globs of the layers whose kernels stay as they are.
  package var kept: [Glob] { keep + rules.filter(\.keep).map(\.match) }

  /// The globs of all rules, for what matches no layer.
  package var globs: [(glob: Glob, origin: String)] {
    keep.map { ($0, "--keep '\($0.pattern)'") }
      + rules.map { ($0.match, "the recipe's rule for '\($0.match.pattern)'") }
  }
}

extension Recipe.Rule {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    var reader = try JSONReader(json, subject, schema: Recipe.schema)
    self.init(match: Glob(try reader.required("match", \.string, "a text")))
    keep = try reader.ifPresent("keep", \.bool, "true or false") ?? false
    structures = try reader.ifPresent("structures", \.strings, "a list of texts")
    try Recipe.check(structures ?? [], subject)
    func bound(_ key: String, atLeast least: Double) throws -> Double? {
      try reader.ifPresent(
        key, { $0.real.flatMap { $0.isFinite && $0 >= least ? $0 : nil } }, "a number of at least \(least)")
    }
    maximumRatio = try bound("max_ratio", atLeast: 1)
    minimumRatio = try bound("min_ratio", atLeast: 1)
    maximumDiscrepancy = try bound("max_discrepancy", atLeast: 0)
    bits = try reader.ifPresent("bits", \.bitWidths, "a list of whole numbers from 2 to 8")
    if let maximumRatio, let minimumRatio, maximumRatio < minimumRatio {
      throw Failure(subject, "cannot be kept", "'max_ratio' \(maximumRatio) is below 'min_ratio' \(minimumRatio)")
    }
    try reader.finish()
  }

  var json: JSON {
    [
      "match": .string(match.pattern), "keep": .bool(keep), "structures": .optional(structures, JSON.strings),
      "max_ratio": .optional(maximumRatio, JSON.real), "min_ratio": .optional(minimumRatio, JSON.real),
      "max_discrepancy": .optional(maximumDiscrepancy, JSON.real),
      "bits": .optional(bits) { .integers($0.map(\.rawValue)) },
    ]
  }

  /// - Throws: `Failure` for what is no rule.
  init(plan json: JSON) throws { try self.init(json, "a rule of the recipe") }
}

extension JSON {
  /// Widths of integers; nil for what is no list of them.
  var bitWidths: [BitWidth]? {
    integers.flatMap { integers in
      let widths = integers.compactMap(BitWidth.init)
      return widths.count == integers.count ? widths : nil
    }
  }
}

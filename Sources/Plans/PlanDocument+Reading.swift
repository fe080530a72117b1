import Basics
import Checkpoints
import Formats
import Foundation
import TensorCore

extension PlanDocument {
  /// Reads a plan file.
  ///
  /// - Throws: `Failure` for anything that is no plan of this schema: a missing, unknown or wrongly typed key is named.
  package init(path: String) throws {
    let bytes = try InputFile.read(path)
    self = try Failure.within(path) { try Self(json: JSON(parsing: bytes)) }
  }

  /// A plan may take the place of an older plan of the same checkpoint, and of nothing else.
  ///
  /// - Parameter checkpoint: the path of the checkpoint that is planned now. It is the same one where the file is the same, whatever
  ///   is in it now, and where its content is, wherever it lies now.
  /// - Throws: `Failure` where the path leads to a file that is no plan, or a plan of another checkpoint.
  package static func checkReplaceable(_ path: String, by checkpoint: CheckpointSource) throws {
    guard let old = try OutputFile.checkReplaceable(path, as: "plan", schema: "kcompress.plan/"),
      let planned = old["checkpoint"]?.string,
      located(planned, besides: path).fileIdentity != checkpoint.path.fileIdentity,
      try old["sha256"]?.string != checkpoint.open().sha256
    else { return }
    throw Failure(
      path, "is not overwritten", "it is the plan of another checkpoint, '\(planned)'",
      remedy: "choose another path with -o")
  }

  /// A file that a plan names: as given, else beside the plan.
  package static func located(_ path: String, besides plan: String) -> String {
    if FileKind(path) != nil { return path }
    let beside = (plan.folderPath as NSString).appendingPathComponent((path as NSString).lastPathComponent)
    return FileKind(beside) == nil ? path : beside
  }

  /// Reads a plan.
  ///
  /// - Throws: `Failure` that names a missing, unknown or malformed key, or another schema.
  package init(json: JSON) throws {
    var document = try Reader(json, "the plan")
    let schema = try document.string("schema")
    guard schema == Self.schema else {
      throw Failure(
        "schema", "is '\(schema)'", "this program reads '\(Self.schema)'",
        remedy: "make the plan anew with kcompress plan")
    }
    checkpoint = try document.string("checkpoint")
    sha256 = try document.string("sha256")
    budget = try Self.amounts(&document, "budget")
    predicted = try Costs(&document)
    original = try Original(&document)
    solver = try Solver(&document)
    prices = try Self.prices(&document)
    options = try Options(&document)
    layers = try document.array("layers").enumerated().map { position, json in
      try LayerPlan(json, "layer \(position)")
    }
    kept = try document.array("kept").map { try KeptTensor($0, "a kept tensor") }
    frontier = try document.array("frontier").map { try Alternative($0, "a point of the frontier") }
    try document.finish()
  }

  /// The amounts under a key of their own.
  private static func amounts(_ document: inout Reader, _ key: String) throws -> Amounts {
    var reader = try Reader(document.value(key), key)
    let amounts = try Amounts(&reader)
    try reader.finish()
    return amounts
  }

  private static func prices(_ document: inout Reader) throws -> [Resource: Double] {
    var reader = try Reader(document.value("shadow_prices"), "shadow_prices")
    var prices: [Resource: Double] = [:]
    for resource in priced { prices[resource] = try reader.real(resource.rawValue) }
    try reader.finish()
    return prices
  }
}

extension PlanDocument.Alternative {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    var reader = try Reader(json, subject)
    var amounts = try Amounts(&reader, [.bytes], required: [.bytes])
    let loss = try reader.real("loss")
    let others = try Amounts(&reader, PlanDocument.alternatives)
    for (resource, amount) in others.known { amounts[resource] = amount }
    self.init(.init(amounts, loss: loss), isKnee: try reader.required("knee", \.bool, "true or false"))
    try reader.finish()
  }
}

extension PlanDocument.KeptTensor {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    var reader = try Reader(json, subject)
    name = try reader.string("name")
    bytes = try reader.count("bytes")
    reason = try reader.string("reason")
    try reader.finish()
  }
}

extension PlanDocument.Costs {
  fileprivate init(_ document: inout Reader) throws {
    var reader = try Reader(document.value("predicted"), "predicted")
    self.init(try Amounts(&reader, required: [.bytes]), loss: try reader.real("loss"))
    try reader.finish()
  }
}

extension PlanDocument.Original {
  fileprivate init(_ document: inout Reader) throws {
    var reader = try Reader(document.value("original"), "original")
    self.init(try Amounts(&reader, required: [.bytes]), parameters: try reader.count("parameters"))
    try reader.finish()
  }
}

extension PlanDocument.Solver {
  fileprivate init(_ document: inout Reader) throws {
    var reader = try Reader(document.value("solver"), "solver")
    loss = try reader.real("loss")
    lowerBound = try reader.real("lower_bound")
    gap = try reader.real("gap")
    optimal = try reader.required("optimal", \.bool, "true or false")
    try reader.finish()
  }
}

extension PlanDocument.Options {
  fileprivate init(_ document: inout Reader) throws {
    var reader = try Reader(document.value("options"), "options")
    structures = try reader.strings("structures")
    try Recipe.check(structures, "options")
    keep = try reader.strings("keep")
    seed = try reader.required("seed", \.seed, "a whole number from 0 to 2^64 - 1")
    graph = try reader.optional("graph", \.string, "a path")
    architecture = try reader.optional("architecture", \.string, "a path")
    stateDict = StateDictOptions(
      prefix: try reader.ifPresent("prefix", \.string, "a text"),
      linear: (try reader.ifPresent("linear", \.strings, "a list of texts") ?? []).map { Glob($0) },
      modules: try reader.ifPresent("modules", \.string, "a path"))
    calibration = try reader.optional("calibration", \.self, "a file and how its samples are prepared")
      .map { try CalibrationSource($0) }
    dtype = try reader.optional(
      "dtype", \.choosableType, "one of " + DType.choosable.map(\.optionName).joined(separator: ", "))
    bits = try reader.optional(
      "bits", { $0.bitWidths.flatMap { $0.isEmpty ? nil : $0 } }, "a list of whole numbers from 2 to 8")
    // A profile of any name may have been given by its path, and nothing that is computed from it is computed again.
    device = try reader.optional("device", { $0.string.flatMap { $0.isEmpty ? nil : $0 } }, "a name")
    let multiples = Self.rankMultiples
    rankMultiple = try reader.required(
      "round_to", { $0.integer.flatMap { multiples.contains($0) ? $0 : nil } },
      "a whole number from \(multiples.lowerBound) to \(multiples.upperBound)")
    rules = try reader.array("rules").map { try Recipe.Rule(plan: $0) }
    try reader.finish()
  }
}

extension PlanDocument.LayerPlan {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    var reader = try Reader(json, subject)
    name = try reader.string("name")
    operation = try reader.string("operation")
    shape = try reader.integers("shape")
    let structure = try reader.string("structure")
    let ranks = try reader.integers("ranks")
    let shapes = try reader.array("shapes").map { shape in
      guard let integers = shape.integers else {
        throw Failure(subject, "'shapes' is malformed", "a shape is a list of whole numbers")
      }
      return integers
    }
    form = LayerForm(structure: structure, ranks: ranks, shapes: shapes)
    storage =
      try reader.ifPresent("bits", { $0.integer.flatMap(BitWidth.init) }, "a whole number from 2 to 8")
      .map { .integers($0) } ?? .float
    parameters = try reader.count("parameters")
    bytes = try reader.count("bytes")
    macs = try reader.optional("macs", \.count, "a count")
    loss = try reader.real("loss")
    discrepancy = try reader.real("discrepancy")
    reason = try reader.optional("reason", \.string, "a text")
    try reader.finish()
  }
}

extension JSON {
  fileprivate var choosableType: DType? {
    string.flatMap { text in DType.choosable.first { $0.optionName == text.lowercased() } }
  }
}

private typealias Reader = JSONReader

extension JSONReader {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    try self.init(json, subject, schema: PlanDocument.schema, remedy: "make the plan anew with kcompress plan")
  }
}

import Basics
import Formats
import TensorCore

extension PlanDocument {
  /// Reads a plan file.
  ///
  /// - Throws: `Failure` for anything that is no plan of this schema: a missing, unknown or wrongly typed key is named.
  package init(path: String) throws {
    let bytes = try InputFile.read(path)
    self = try Failure.within(path) { try Self(json: JSON(parsing: bytes)) }
  }

  /// Plans may take the place of older plans, and of nothing else.
  ///
  /// - Throws: `Failure` where the path leads to a file that is no plan.
  package static func checkReplaceable(_ path: String) throws {
    try OutputFile.checkReplaceable(path, as: "plan", schema: "kcompress.plan/")
  }

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
    prices = try Self.amounts(&document, "shadow_prices", Self.priced, required: Set(Self.priced))
    options = try Options(&document)
    layers = try document.array("layers").enumerated().map { position, json in
      try LayerPlan(json, "layer \(position)")
    }
    kept = try document.array("kept").map { try KeptTensor($0, "a kept tensor") }
    frontier = try document.array("frontier").map { try Alternative($0, "a point of the frontier") }
    try document.finish()
  }

  /// The amounts under a key of their own.
  private static func amounts(
    _ document: inout Reader, _ key: String, _ resources: [Resource] = Resource.allCases, required: Set<Resource> = []
  ) throws -> Amounts {
    var reader = try Reader(document.value(key), key)
    let amounts = try Amounts(&reader, resources, required: required)
    try reader.finish()
    return amounts
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
    bytes = try reader.integer("bytes")
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
    self.init(try Amounts(&reader, required: [.bytes]), parameters: try reader.integer("parameters"))
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
    keep = try reader.strings("keep")
    seed = try reader.required("seed", \.seed, "a whole number from 0 to 2^64 - 1")
    graph = try reader.optional("graph", \.string, "a path")
    architecture = try reader.optional("architecture", \.string, "a path")
    calibration = try reader.optional("calibration", \.self, "a file and how its samples are prepared")
      .map { try CalibrationSource($0) }
    dtype = try reader.optional("dtype", { $0.string.flatMap { DType(rawValue: $0.uppercased()) } }, "f16, bf16 or f32")
    device = try reader.optional("device", \.string, "a name")
    rankMultiple = try reader.integer("round_to")
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
    parameters = try reader.integer("parameters")
    bytes = try reader.integer("bytes")
    macs = try reader.optional("macs", \.integer, "a count")
    loss = try reader.real("loss")
    discrepancy = try reader.real("discrepancy")
    reason = try reader.optional("reason", \.string, "a text")
    try reader.finish()
  }
}

private typealias Reader = JSONReader

extension JSONReader {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    try self.init(json, subject, schema: PlanDocument.schema, remedy: "make the plan anew with kcompress plan")
  }
}

import Basics
import ModelGraph
import TensorCore

extension DeviceProfile {
  static let schema = "kcompress.device/1"

  /// Reads a profile file.
  ///
  /// - Throws: `Failure` for anything that is no profile of this schema: a missing, unknown or wrongly typed key is named, and so is a
  ///   figure that no device can have.
  package init(path: String) throws {
    let bytes = try InputFile.read(path)
    self = try Failure.within(path) { try Self(json: JSON(parsing: bytes)) }
  }

  init(json: JSON) throws {
    var reader = try Reader(json, "the device profile")
    let schema = try reader.string("schema")
    guard schema == Self.schema else {
      throw Failure(
        "schema", "is '\(schema)'", "a device profile is of '\(Self.schema)'",
        remedy: "take one that kcompress devices prints with --json")
    }
    let dtype = try reader.required("dtype", \.computedType, DType.computedTypes)
    let name = try reader.required("name", { $0.string.flatMap { $0.isEmpty ? nil : $0 } }, "a text")
    var operations: [OperationKind: Speed] = [:]
    let entries = try reader.required("operations", \.object, "an object with one entry for each operation")
    for (key, value) in entries.pairs {
      guard let kind = OperationKind(rawValue: key) else {
        throw Failure(
          "operations", "the operation '\(key)' is unknown", "no network has it",
          remedy: "expected \(OperationKind.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      operations[kind] = try Speed(value, of: kind, dtype: dtype)
    }
    self.init(
      name: name, description: try reader.string("description"), source: try reader.string("source"),
      flash: try reader.optional("flash", \.byteCount, "a positive number of bytes"),
      ram: try reader.optional("ram", \.byteCount, "a positive number of bytes"), dtype: dtype,
      bandwidth: try reader.required("bandwidth", \.rate, "a positive number of bytes per second"),
      overhead: try reader.required("overhead", \.notNegative, "a number of seconds"), operations: operations)
    try reader.finish()
  }

  /// The profile in the form of its file.
  package var json: JSON {
    [
      "schema": .string(Self.schema), "name": .string(name), "description": .string(description),
      "source": .string(source), "flash": .optional(flash, JSON.integer), "ram": .optional(ram, JSON.integer),
      "dtype": .string(dtype.optionName), "bandwidth": .real(bandwidth), "overhead": .real(overhead),
      "operations": .object(
        JSONObject(
          OperationKind.allCases.compactMap { kind in operations[kind].map { (kind.rawValue, $0.json) } })),
    ]
  }
}

extension DeviceProfile.Speed {
  fileprivate init(_ json: JSON, of kind: OperationKind, dtype: DType) throws {
    let subject = "operation '\(kind.rawValue)'"
    var reader = try Reader(json, subject)
    var speeds: [DType: Double] = [:]
    if kind.hasProducts {
      let entries = try reader.required("macs_per_second", \.object, "an object with one entry for each type")
      for (key, value) in entries.pairs {
        guard let type = JSON.string(key).computedType else {
          throw Failure(subject, "'macs_per_second' is malformed", "'\(key)' is no \(DType.computedTypes)")
        }
        guard let speed = value.rate else {
          throw Failure(subject, "'macs_per_second' is malformed", "'\(key)' is no positive number")
        }
        speeds[type] = speed
      }
      guard speeds[dtype] != nil else {
        throw Failure(
          subject, "has no speed for \(dtype.optionName)", "that is the device's own type",
          remedy: "state it under 'macs_per_second'")
      }
    }
    self.init(
      macsPerSecond: speeds,
      bandwidth: try reader.ifPresent("bandwidth", \.rate, "a positive number of bytes per second"),
      overhead: try reader.ifPresent("overhead", \.notNegative, "a number of seconds"),
      halfWidth: try kind.hasProducts ? reader.ifPresent("half_width", \.notNegative, "a number of channels") ?? 0 : 0,
      halfDepth: try kind.hasProducts ? reader.ifPresent("half_depth", \.notNegative, "a number of inputs") ?? 0 : 0)
    try reader.finish()
  }

  fileprivate var json: JSON {
    var object = JSONObject()
    if !macsPerSecond.isEmpty {
      object["macs_per_second"] = .object(
        JSONObject(
          macsPerSecond.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { ($0.key.optionName, JSON.real($0.value)) }))
    }
    if let bandwidth { object["bandwidth"] = .real(bandwidth) }
    if let overhead { object["overhead"] = .real(overhead) }
    if halfWidth > 0 { object["half_width"] = .real(halfWidth) }
    if halfDepth > 0 { object["half_depth"] = .real(halfDepth) }
    return .object(object)
  }
}

private typealias Reader = JSONReader

extension JSONReader {
  fileprivate init(_ json: JSON, _ subject: String) throws {
    try self.init(
      json, subject, schema: DeviceProfile.schema, remedy: "kcompress devices NAME --json prints an example")
  }
}

extension JSON {
  fileprivate var byteCount: Int? { integer.flatMap { $0 > 0 ? $0 : nil } }
  /// A positive number that no device exceeds: sums and products stay finite.
  fileprivate var rate: Double? { notNegative.flatMap { $0 > 0 ? $0 : nil } }
  fileprivate var notNegative: Double? { real.flatMap { $0 >= 0 && $0 <= 1e18 ? $0 : nil } }
  fileprivate var computedType: DType? {
    string.flatMap { text in DType.computed.first { $0.optionName == text } }
  }
}

extension DType {
  /// The types in which devices compute.
  fileprivate static let computed: [DType] = [.f64, .f32, .bf16, .f16, .i16, .i8]
  fileprivate static var computedTypes: String {
    "one of " + computed.map(\.optionName).joined(separator: ", ")
  }
}

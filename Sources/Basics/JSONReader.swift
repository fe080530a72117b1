/// Reads an object key by key and refuses what was not asked for, so that a misspelt key is not passed over in silence.
package struct JSONReader {
  private let object: JSONObject
  private let subject: String
  private let schema: String
  private let remedy: String?
  private var known: Set<String> = []

  /// - Parameters:
  ///   - subject: what the object is, for messages.
  ///   - schema: what defines its keys, likewise.
  ///   - remedy: what to do where a key is missing.
  /// - Throws: `Failure` for anything but an object.
  package init(_ json: JSON, _ subject: String, schema: String, remedy: String? = nil) throws {
    guard let object = json.object else {
      throw Failure(subject, "is malformed", "an object is expected")
    }
    self.object = object
    self.subject = subject
    self.schema = schema
    self.remedy = remedy
  }

  /// - Throws: `Failure` where the key is missing.
  package mutating func value(_ key: String) throws -> JSON {
    guard let value = present(key) else {
      throw Failure(subject, "has no key '\(key)'", "the schema '\(schema)' requires it", remedy: remedy)
    }
    return value
  }

  /// The value of a key that may be left out.
  package mutating func present(_ key: String) -> JSON? {
    known.insert(key)
    return object[key]
  }

  /// - Throws: `Failure` where the key is missing, or `read` makes nothing of its value.
  package mutating func required<T>(_ key: String, _ read: (JSON) -> T?, _ expected: String) throws -> T {
    guard let value = read(try value(key)) else {
      throw Failure(subject, "'\(key)' is malformed", "\(expected) is expected")
    }
    return value
  }

  /// The value of a key that must be there; nil where it is null.
  ///
  /// - Throws: `Failure` where the key is missing, or its value is not what is expected.
  package mutating func optional<T>(_ key: String, _ read: (JSON) -> T?, _ expected: String) throws -> T? {
    try value(key).isNull ? nil : try required(key, read, expected)
  }

  /// The value of a key that may be missing; nil where the key is not there or its value is null.
  ///
  /// - Throws: `Failure` where the value is not what is expected.
  package mutating func ifPresent<T>(_ key: String, _ read: (JSON) -> T?, _ expected: String) throws -> T? {
    present(key).map(\.isNull) ?? true ? nil : try required(key, read, expected)
  }

  /// A text under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a text.
  package mutating func string(_ key: String) throws -> String { try required(key, \.string, "a text") }

  /// A whole number under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a whole number.
  package mutating func integer(_ key: String) throws -> Int { try required(key, \.integer, "a whole number") }

  /// A count under a key that must be there: a whole number from 0 to 2^53, up to which counts are exact wherever they go.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a count.
  package mutating func count(_ key: String) throws -> Int { try required(key, \.count, "a count") }

  /// A number under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a number.
  package mutating func real(_ key: String) throws -> Double { try required(key, \.real, "a number") }

  /// A list under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a list.
  package mutating func array(_ key: String) throws -> [JSON] { try required(key, \.array, "a list") }

  /// A list of whole numbers under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a list of whole numbers.
  package mutating func integers(_ key: String) throws -> [Int] {
    try required(key, \.integers, "a list of whole numbers")
  }

  /// A list of texts under a key that must be there.
  ///
  /// - Throws: `Failure` where the key is missing or its value is not a list of texts.
  package mutating func strings(_ key: String) throws -> [String] { try required(key, \.strings, "a list of texts") }

  /// - Throws: `Failure` where the object has a key that nobody asked for.
  package func finish() throws {
    if let unknown = object.keys.first(where: { !known.contains($0) }) {
      throw Failure(
        subject, "has the unknown key '\(unknown)'", "the schema '\(schema)' does not define it",
        remedy: "remove the key")
    }
  }
}

extension JSON {
  /// A whole number from 0 to 2^53; nil for anything else.
  package var count: Int? { integer.flatMap { (0...1 << 53).contains($0) ? $0 : nil } }
}

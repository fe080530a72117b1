/// A JSON value that keeps what Foundation's parser loses: the order of keys, duplicate keys (refused here),
/// and the exact text of numbers. Headers, model configurations, plans and reports all use it.
package enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The number as written, so that `0.0010000000474974513` or Python's `NaN` comes out as it went in.
  case number(String)
  case string(String)
  case array([JSON])
  case object(JSONObject)
}

/// Key-value pairs in the order of the document; every key occurs once.
package struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
  package private(set) var keys: [String] = []
  private var values: [String: JSON] = [:]

  package init() {}

  package init(dictionaryLiteral pairs: (String, JSON)...) {
    for (key, value) in pairs { self[key] = value }
  }

  package init(_ pairs: some Sequence<(String, JSON)>) {
    for (key, value) in pairs { self[key] = value }
  }

  package var count: Int { keys.count }
  package var pairs: [(key: String, value: JSON)] { keys.map { ($0, values[$0] ?? .null) } }

  /// Setting a new key appends it, setting a known one keeps its place, setting nil removes it.
  package subscript(key: String) -> JSON? {
    get { values[key] }
    set {
      if let newValue {
        if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
      } else if values.removeValue(forKey: key) != nil {
        keys.removeAll { $0 == key }
      }
    }
  }
}

extension JSON {
  package static func integer(_ value: Int) -> JSON { .number(String(value)) }

  /// A finite number in Swift's shortest exact notation; JSON has no NaN and no infinity, which become null.
  package static func real(_ value: Double) -> JSON {
    guard value.isFinite else { return .null }
    let text = "\(value)"
    return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }

  /// The seed of a random generator, which may be larger than any Int.
  package static func seed(_ value: UInt64) -> JSON { .number(String(value)) }

  package static func integers(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }
  package static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
  package static func optional<T>(_ value: T?, _ make: (T) -> JSON) -> JSON { value.map(make) ?? .null }

  package subscript(key: String) -> JSON? { object?[key] }

  package var object: JSONObject? { if case .object(let object) = self { object } else { nil } }
  package var array: [JSON]? { if case .array(let array) = self { array } else { nil } }
  package var string: String? { if case .string(let string) = self { string } else { nil } }
  package var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
  package var isNull: Bool { self == .null }

  /// A number, with Python's `NaN` and `Infinity` read as such.
  package var real: Double? {
    guard case .number(let text) = self else { return nil }
    switch text {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default: return Double(text)
    }
  }

  /// A number whose value is whole and fits an Int; `2.0` counts as 2.
  package var integer: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
  }

  /// A whole number of 0 to 2^64 - 1.
  package var seed: UInt64? {
    guard case .number(let text) = self else { return nil }
    return UInt64(text) ?? integer.flatMap { UInt64(exactly: $0) }
  }

  /// A list of numbers; nil where one entry is none.
  package var reals: [Double]? {
    guard let array else { return nil }
    let values = array.compactMap(\.real)
    return values.count == array.count ? values : nil
  }

  package var strings: [String]? {
    guard let array else { return nil }
    let values = array.compactMap(\.string)
    return values.count == array.count ? values : nil
  }

  package var integers: [Int]? {
    guard let array else { return nil }
    let values = array.compactMap(\.integer)
    return values.count == array.count ? values : nil
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  package init(dictionaryLiteral pairs: (String, JSON)...) { self = .object(JSONObject(pairs)) }
  package init(nilLiteral: ()) { self = .null }
}

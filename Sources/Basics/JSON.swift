/// A JSON value that keeps what Foundation's parser loses: the order of keys, duplicate keys (refused here),
/// and the exact text of numbers. Headers, model configurations, plans and reports all use it.
public enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The number as written, so that `0.0010000000474974513` or Python's `NaN` comes out as it went in.
  case number(String)
  case string(String)
  case array([JSON])
  case object(JSONObject)
}

/// Key-value pairs in the order of the document; every key occurs once.
public struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
  public private(set) var keys: [String] = []
  private var values: [String: JSON] = [:]

  public init() {}

  public init(dictionaryLiteral pairs: (String, JSON)...) {
    for (key, value) in pairs { self[key] = value }
  }

  public init(_ pairs: some Sequence<(String, JSON)>) {
    for (key, value) in pairs { self[key] = value }
  }

  public var count: Int { keys.count }
  public var pairs: [(key: String, value: JSON)] { keys.map { ($0, values[$0] ?? .null) } }

  /// Setting a new key appends it, setting a known one keeps its place, setting nil removes it.
  public subscript(key: String) -> JSON? {
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
  public static func integer(_ value: Int) -> JSON { .number(String(value)) }

  /// A finite number in Swift's shortest exact notation; JSON has no NaN and no infinity, which become null.
  public static func real(_ value: Double) -> JSON {
    guard value.isFinite else { return .null }
    let text = "\(value)"
    return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }

  public static func integers(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }
  public static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
  public static func optional<T>(_ value: T?, _ make: (T) -> JSON) -> JSON { value.map(make) ?? .null }

  public subscript(key: String) -> JSON? { object?[key] }

  public var object: JSONObject? { if case .object(let object) = self { object } else { nil } }
  public var array: [JSON]? { if case .array(let array) = self { array } else { nil } }
  public var string: String? { if case .string(let string) = self { string } else { nil } }
  public var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
  public var isNull: Bool { self == .null }

  /// A number, with Python's `NaN` and `Infinity` read as such.
  public var real: Double? {
    guard case .number(let text) = self else { return nil }
    switch text {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default: return Double(text)
    }
  }

  /// A number whose value is whole and fits an Int; `2.0` counts as 2.
  public var integer: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
  }

  public var strings: [String]? {
    guard let array else { return nil }
    let values = array.compactMap(\.string)
    return values.count == array.count ? values : nil
  }

  public var integers: [Int]? {
    guard let array else { return nil }
    let values = array.compactMap(\.integer)
    return values.count == array.count ? values : nil
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(arrayLiteral elements: JSON...) { self = .array(elements) }
  public init(dictionaryLiteral pairs: (String, JSON)...) { self = .object(JSONObject(pairs)) }
  public init(nilLiteral: ()) { self = .null }
}

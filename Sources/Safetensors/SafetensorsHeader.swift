import Basics
import TensorCore

/// The header of a safetensors file, proven consistent: every entry has a known dtype, the byte count that its shape
/// gives, and a place in the data section that no other entry touches; together they fill the section.
struct SafetensorsHeader {
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    /// Where the bytes lie in the data section.
    let range: Range<Int>
  }

  /// The limit of the reference reader.
  static let maximumLength = 100_000_000
  static let metadataKey = "__metadata__"

  let metadata: [String: String]
  /// The entries in the order of the header.
  let entries: [Entry]
  /// Where the data section begins in the file.
  let dataOffset: Int

  /// - Throws: `Failure` about the header or a tensor; the caller adds the path.
  init(parsing file: [UInt8]) throws {
    let text = try Self.text(of: file)
    dataOffset = text.endIndex
    let document: JSON
    do {
      document = try JSON(parsing: text)
    } catch let failure as Failure {
      throw failure.within("header")
    }
    guard var object = document.object else {
      throw Failure("header", "is invalid", "it is no JSON object")
    }
    metadata = try Self.metadata(object[Self.metadataKey])
    object[Self.metadataKey] = nil
    let dataCount = file.count - dataOffset
    entries = try object.pairs.map { try Entry($0.key, $0.value, dataCount: dataCount) }
    try Self.checkTiling(entries, dataCount: dataCount)
  }

  /// The bytes of the JSON text with its padding.
  private static func text(of file: [UInt8]) throws -> ArraySlice<UInt8> {
    guard file.count >= 8 else {
      throw Failure(
        "header", "is missing", "the file has \(file.count) bytes",
        remedy: "a safetensors file begins with 8 bytes that give the header's length")
    }
    let claimed = file.littleEndian(UInt64.self, at: 0)
    guard claimed <= UInt64(maximumLength) else {
      throw Failure(
        "header", "is too long", "it claims \(claimed) bytes",
        remedy: "at most \(maximumLength) bytes are allowed")
    }
    let length = Int(claimed)
    guard length <= file.count - 8 else {
      throw Failure(
        "header", "is truncated",
        "it claims \(length) bytes, and \(file.count - 8) follow its length")
    }
    let text = file[8..<8 + length]
    guard text.first == UInt8(ascii: "{") else {
      throw Failure("header", "is invalid", "it does not begin with '{'")
    }
    guard let last = text.last(where: { $0 != UInt8(ascii: " ") }), last == UInt8(ascii: "}") else {
      throw Failure(
        "header", "is invalid",
        "something other than spaces follows its closing '}', or it has none",
        remedy: "pad the header with spaces")
    }
    return text
  }

  private static func metadata(_ json: JSON?) throws -> [String: String] {
    guard let json else { return [:] }
    guard let object = json.object else {
      throw Failure("'\(metadataKey)'", "is invalid", "it is no JSON object")
    }
    var metadata: [String: String] = [:]
    for (key, value) in object.pairs {
      guard let text = value.string else {
        throw Failure(
          "'\(metadataKey)'", "is invalid", "the value of '\(key)' is no string",
          remedy: "metadata maps strings to strings")
      }
      metadata[key] = text
    }
    return metadata
  }

  /// Walks the entries in the order of their data: each must begin where the one before it ends.
  private static func checkTiling(_ entries: [Entry], dataCount: Int) throws {
    let ordered = entries.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    var end = 0
    var previous: Entry?
    for entry in ordered {
      let begin = entry.range.lowerBound
      if begin > end {
        throw Failure(
          "tensor '\(entry.name)'", "has a wrong place",
          "its data leaves a gap of \(begin - end) bytes before it")
      }
      if begin < end, let previous {
        throw Failure(
          "tensor '\(entry.name)'", "has a wrong place",
          "its data overlaps that of '\(previous.name)'")
      }
      end = entry.range.upperBound
      previous = entry
    }
    guard end == dataCount else {
      throw Failure(
        "data section", "is invalid", "\(dataCount - end) bytes follow the last tensor",
        remedy: "tensors must fill the section")
    }
  }
}

extension SafetensorsHeader.Entry {
  fileprivate init(_ name: String, _ json: JSON, dataCount: Int) throws {
    func failure(_ reason: String, _ remedy: String? = nil) -> Failure {
      Failure("tensor '\(name)'", "has an invalid entry", reason, remedy: remedy)
    }
    guard let object = json.object else { throw failure("it is no JSON object") }
    if let other = object.keys.first(where: { !["dtype", "shape", "data_offsets"].contains($0) }) {
      throw failure(
        "it has the unknown field '\(other)'", "an entry has dtype, shape and data_offsets")
    }
    guard let dtypeName = object["dtype"]?.string else { throw failure("its dtype is no string") }
    guard let dtype = DType(rawValue: dtypeName) else {
      throw failure(
        "its dtype '\(dtypeName)' is unknown",
        "expected one of \(DType.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard let shape = object["shape"]?.exactCounts else {
      throw failure("its shape is no array of whole numbers that are 0 or more")
    }
    guard let offsets = object["data_offsets"]?.exactCounts, offsets.count == 2 else {
      throw failure("its data_offsets are no two whole numbers that are 0 or more")
    }
    guard offsets[0] <= offsets[1], offsets[1] <= dataCount else {
      throw failure(
        "its data_offsets \(offsets) lie outside the data section of \(dataCount) bytes")
    }
    guard let byteCount = dtype.byteCount(of: shape) else {
      throw failure("the shape \(shape) of \(dtypeName) gives no whole number of bytes")
    }
    guard byteCount == offsets[1] - offsets[0] else {
      throw failure(
        "the shape \(shape) of \(dtypeName) needs \(byteCount) bytes, and its data_offsets give "
          + "\(offsets[1] - offsets[0])")
    }
    self.init(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
  }
}

extension JSON {
  /// Numbers written as plain digits; `2.0` and `1e3` are no counts to the reference reader either.
  fileprivate var exactCounts: [Int]? {
    guard let array else { return nil }
    let counts = array.compactMap(\.exactCount)
    return counts.count == array.count ? counts : nil
  }

  /// A number of 0 or more written as plain digits.
  var exactCount: Int? {
    guard case .number(let text) = self, let value = Int(text), String(value) == text, value >= 0
    else { return nil }
    return value
  }
}

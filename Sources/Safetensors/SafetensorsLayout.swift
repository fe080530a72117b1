import Basics
import TensorCore

/// How the bytes of a file are laid out, shared by the writer and by the count of bytes without writing.
///
/// The order is the reference writer's: wider dtypes first (the order in which its list of dtypes ends), then names; so
/// every tensor is aligned. The header is padded with spaces to 8 bytes.
enum SafetensorsLayout {
  /// Whether a tensor comes before another one in the file.
  static func precedes(_ a: StoredTensor, _ b: StoredTensor) -> Bool {
    a.dtype == b.dtype ? a.name < b.name : rank(a.dtype) > rank(b.dtype)
  }

  /// The place in the list that orders dtypes by their alignment.
  static func rank(_ dtype: DType) -> Int {
    guard let rank = ranks[dtype] else { preconditionFailure("\(dtype.rawValue) is not in the list of all types") }
    return rank
  }

  private static let ranks = Dictionary(
    uniqueKeysWithValues: DType.allCases.enumerated().map { ($1, $0) })

  /// The entry as far as it does not depend on where the data lies: `"name":{...,"data_offsets":[`.
  static func entryStart(name: String, dtype: DType, shape: [Int]) -> String {
    "\(JSON.string(name).text()):{\"dtype\":\"\(dtype.rawValue)\",\"shape\":"
      + "\(JSON.integers(shape).text()),\"data_offsets\":["
  }

  static func entryEnd(_ range: Range<Int>) -> String {
    "\(range.lowerBound),\(range.upperBound)]}"
  }

  /// The UTF-8 length of `entryStart`, from that of the quoted name without its quotes.
  static func entryStartLength(quotedNameLength: Int, dtype: DType, shape: [Int]) -> Int {
    var shapeLength = 2 + max(0, shape.count - 1)
    for extent in shape { shapeLength += digitCount(extent) }
    return quotedNameLength + entryFrameLength + dtype.rawValue.utf8.count + shapeLength
  }

  /// An entry's start without the name, the dtype and the shape.
  private static let entryFrameLength =
    entryStart(name: "", dtype: .f32, shape: []).utf8.count - "F32".utf8.count - "[]".utf8.count

  /// The UTF-8 length of `entryEnd` for these bounds.
  static func entryEndLength(_ begin: Int, _ end: Int) -> Int {
    digitCount(begin) + digitCount(end) + 3
  }

  /// The UTF-8 length of a string in JSON, without its quotes.
  static func quotedLength(_ text: String) -> Int { JSON.string(text).text().utf8.count - 2 }

  static func digitCount(_ value: Int) -> Int {
    var count = 1
    var rest = value
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// `"__metadata__":{...}`, sorted by key; nil where there is none.
  static func metadataText(_ metadata: [String: String]) -> String? {
    guard !metadata.isEmpty else { return nil }
    let object = JSONObject(
      metadata.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })
    return "\"\(SafetensorsHeader.metadataKey)\":\(JSON.object(object).text())"
  }

  static func padded(_ length: Int) -> Int { (length + 7) / 8 * 8 }
}

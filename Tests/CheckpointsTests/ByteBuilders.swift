import Basics
import TensorCore

/// Files made of bytes, well-formed or not.
enum Bytes {
  /// A safetensors file: the length of the header (the true one unless stated), its text, `payload` zero bytes.
  static func safetensors(_ header: String, payload: Int = 0, claims length: UInt64? = nil)
    -> [UInt8]
  {
    var file: [UInt8] = []
    file.appendLittleEndian(length ?? UInt64(header.utf8.count))
    return file + Array(header.utf8) + Array(repeating: 0, count: payload)
  }

  /// A NumPy array with this header text.
  static func numPy(_ header: String, _ data: [UInt8] = [], version: UInt8 = 1) -> [UInt8] {
    var file: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0]
    if version == 1 {
      file.appendLittleEndian(UInt16(header.utf8.count))
    } else {
      file.appendLittleEndian(UInt32(header.utf8.count))
    }
    return file + Array(header.utf8) + data
  }

  static func numPy(
    _ description: String, _ shape: String, _ data: [UInt8], fortranOrder: Bool = false,
    version: UInt8 = 1
  ) -> [UInt8] {
    let order = fortranOrder ? "True" : "False"
    return numPy(
      "{'descr': '\(description)', 'fortran_order': \(order), 'shape': \(shape), }\n", data,
      version: version)
  }

  /// A deflate stream of one stored block.
  static func deflated(_ contents: [UInt8]) -> [UInt8] {
    var stream: [UInt8] = [1]
    stream.appendLittleEndian(UInt16(contents.count))
    stream.appendLittleEndian(~UInt16(contents.count))
    return stream + contents
  }
}

/// A ZIP archive whose every number can be made to lie.
struct ZipBuilder {
  var name = "inputs.npy"
  var method: UInt16 = 0
  var flags: UInt16 = 0
  var data: [UInt8] = []
  var crc: UInt32 = 0
  var claimedCount: UInt32
  var claimedCompressedCount: UInt32
  var headerOffset: UInt32 = 0
  var memberCount: UInt16 = 1
  var directoryOffset: UInt32?
  var extra: [UInt8] = []

  init(_ contents: [UInt8], crc: UInt32, deflated: Bool = false) {
    data = deflated ? Bytes.deflated(contents) : contents
    method = deflated ? 8 : 0
    self.crc = crc
    claimedCount = UInt32(contents.count)
    claimedCompressedCount = UInt32(data.count)
  }

  var bytes: [UInt8] {
    var file: [UInt8] = [0x50, 0x4B, 3, 4, 20, 0]
    file += Array(repeating: 0, count: 20)
    file.appendLittleEndian(UInt16(name.utf8.count))
    file.appendLittleEndian(0 as UInt16)
    file += Array(name.utf8) + data
    let begin = file.count
    for _ in 0..<Int(min(memberCount, 2)) { file += directoryEntry }
    let length = file.count - begin
    file += [0x50, 0x4B, 5, 6, 0, 0, 0, 0]
    file.appendLittleEndian(memberCount)
    file.appendLittleEndian(memberCount)
    file.appendLittleEndian(UInt32(length))
    file.appendLittleEndian(directoryOffset ?? UInt32(begin))
    return file + [0, 0]
  }

  private var directoryEntry: [UInt8] {
    var entry: [UInt8] = [0x50, 0x4B, 1, 2, 20, 0, 20, 0]
    for word in [flags, method, 0, 0] { entry.appendLittleEndian(word) }
    for number in [crc, claimedCompressedCount, claimedCount] { entry.appendLittleEndian(number) }
    entry.appendLittleEndian(UInt16(name.utf8.count))
    entry.appendLittleEndian(UInt16(extra.count))
    entry += Array(repeating: 0, count: 10)
    entry.appendLittleEndian(headerOffset)
    return entry + Array(name.utf8) + extra
  }
}

/// A tensor of counting bytes.
func tensor(_ name: String, _ dtype: DType, _ shape: [Int]) -> StoredTensor {
  let count = dtype.byteCount(of: shape) ?? 0
  return StoredTensor(
    name: name, dtype: dtype, shape: shape, bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0) }
  )
}

/// What a failure says, or nothing where `body` succeeds.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}

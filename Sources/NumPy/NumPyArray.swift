import Basics
import TensorCore

/// `.npy`: one array with a magic string, a version and a header before its elements.
///
/// Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", versions 1.0 to 3.0.
package enum NumPyArray {
  /// The bytes that every file begins with.
  static let signature: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Far above what any shape needs.
  static let maximumHeaderLength = 1 << 20

  /// Whether a file begins as an array does.
  package static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: signature) }

  /// Parses a whole file: row-major and little-endian afterwards, whatever it was before.
  ///
  /// - Throws: `Failure` with the subject `array`, for the caller to add its name and the path.
  package static func read(name: String, _ file: [UInt8]) throws -> StoredTensor {
    let dataOffset = try dataOffset(file)
    let lengthSize = file[6] == 1 ? 2 : 4
    let header = try NumPyHeader(parsing: file[8 + lengthSize..<dataOffset])
    guard let byteCount = header.dtype.byteCount(of: header.shape) else {
      throw Failure("array", "is damaged", "its shape \(header.shape) is too large")
    }
    guard byteCount == file.count - dataOffset else {
      throw Failure(
        "array", "is damaged",
        "the shape \(header.shape) of \(header.dtype.rawValue) needs \(byteCount) bytes, and "
          + "\(file.count - dataOffset) follow the header")
    }
    let width = header.dtype.bits / 8
    var bytes = Array(file[dataOffset...])
    if header.isBigEndian, width > 1 { swapByteOrder(&bytes, width: width) }
    if header.isFortranOrder, header.shape.count > 1 {
      bytes = rowMajor(bytes, shape: header.shape, width: width)
    }
    return StoredTensor(name: name, dtype: header.dtype, shape: header.shape, bytes: bytes)
  }

  private static func dataOffset(_ file: [UInt8]) throws -> Int {
    func failure(_ reason: String) -> Failure { Failure("array", "is damaged", reason) }
    guard file.count >= 12, file.starts(with: signature) else {
      throw failure("it does not begin as a NumPy array")
    }
    guard (1...3).contains(file[6]), file[7] == 0 else {
      throw failure("its format version \(file[6]).\(file[7]) is unknown")
    }
    let isShort = file[6] == 1
    let length =
      isShort
      ? Int(file.littleEndian(UInt16.self, at: 8)) : Int(file.littleEndian(UInt32.self, at: 8))
    let begin = isShort ? 10 : 12
    guard length <= maximumHeaderLength, length <= file.count - begin else {
      throw failure("its header claims \(length) bytes, and \(file.count - begin) are left")
    }
    return begin + length
  }

  private static func swapByteOrder(_ bytes: inout [UInt8], width: Int) {
    for begin in stride(from: 0, to: bytes.count, by: width) {
      for i in 0..<width / 2 { bytes.swapAt(begin + i, begin + width - 1 - i) }
    }
  }

  /// Reorders elements that are stored with the first mode fastest.
  private static func rowMajor(_ bytes: [UInt8], shape: [Int], width: Int) -> [UInt8] {
    var strides = Array(repeating: width, count: shape.count)
    for mode in shape.indices.dropFirst() { strides[mode] = strides[mode - 1] * shape[mode - 1] }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = Array(repeating: 0, count: shape.count)
    var offset = 0
    while result.count < bytes.count {
      for i in 0..<width { result.append(bytes[offset + i]) }
      var mode = shape.count - 1
      while mode >= 0 {
        index[mode] += 1
        offset += strides[mode]
        if index[mode] < shape[mode] { break }
        offset -= strides[mode] * shape[mode]
        index[mode] = 0
        mode -= 1
      }
    }
    return result
  }

  /// The file of one array, version 1.0, with the elements at a multiple of 64 bytes as NumPy places them.
  ///
  /// - Throws: `Failure` for a dtype that NumPy does not have, and for a shape with too many modes for the header.
  package static func fileBytes(_ tensor: StoredTensor) throws -> [UInt8] {
    guard let description = NumPyHeader.description(tensor.dtype) else {
      throw Failure(
        "array '\(tensor.name)'", "cannot be written",
        "NumPy has no type for \(tensor.dtype.rawValue)")
    }
    let extents = tensor.shape.map(String.init).joined(separator: ", ")
    let tuple = tensor.shape.count == 1 ? "(\(extents),)" : "(\(extents))"
    let header = "{'descr': '\(description)', 'fortran_order': False, 'shape': \(tuple), }"
    let dataOffset = (10 + header.utf8.count + 1 + 63) / 64 * 64
    guard let length = UInt16(exactly: dataOffset - 10) else {
      throw Failure(
        "array '\(tensor.name)'", "cannot be written", "it has \(tensor.shape.count) modes")
    }
    var file = signature + [1, 0]
    file.appendLittleEndian(length)
    file += Array(header.utf8)
    file += Array(repeating: UInt8(ascii: " "), count: dataOffset - file.count - 1)
    file.append(0x0A)
    return file + tensor.bytes
  }
}

import ONNXProto
import TensorCore

/// Integers of 4 bits, which ONNX has from version 21 of the operators on: two in a byte, the first one in the lower half. In memory each is a
/// byte of its own.
enum FourBits {
  /// The type that holds such integers in memory; nil for tensors of any other type.
  static func heldType(_ header: Onnx_TensorProto) -> DType? {
    switch Onnx_TensorProto.DataType(rawValue: Int(header.dataType)) {
    case .int4: .i8
    case .uint4: .u8
    default: nil
    }
  }

  /// The bytes of so many integers in the file.
  static func byteCount(_ count: Int) -> Int { (count + 1) / 2 }

  static func packed(_ integers: [UInt8]) -> [UInt8] {
    stride(from: 0, to: integers.count, by: 2).map { place in
      let second = place + 1 < integers.count ? integers[place + 1] : 0
      return integers[place] & 0xF | second << 4
    }
  }

  /// - Parameter isSigned: whether the highest of the 4 bits is a sign.
  static func unpacked(_ bytes: [UInt8], count: Int, isSigned: Bool) -> [UInt8] {
    (0..<count).map { place in
      let code = place % 2 == 0 ? bytes[place / 2] & 0xF : bytes[place / 2] >> 4
      return isSigned && code > 7 ? code | 0xF0 : code
    }
  }

  /// The bytes that the file has for a tensor in memory.
  static func stored(_ tensor: StoredTensor, as header: Onnx_TensorProto) -> [UInt8] {
    heldType(header) == nil ? tensor.bytes : packed(tensor.bytes)
  }

  /// The count of these bytes.
  static func storedCount(_ tensor: StoredTensor, as header: Onnx_TensorProto) -> Int {
    heldType(header) == nil ? tensor.bytes.count : byteCount(tensor.bytes.count)
  }
}

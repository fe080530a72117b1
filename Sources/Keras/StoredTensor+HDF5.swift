import Basics
import HDF5
import TensorCore

extension StoredTensor {
  /// Reads the tensor that a dataset holds.
  ///
  /// - Throws: `Failure` where the dataset's type is none of a tensor.
  package init(name: String, _ dataset: HDF5Dataset) throws {
    guard let dtype = DType(dataset.type) else {
      guard case .unsupported(let kind) = dataset.type else {
        throw Failure("tensor '\(name)'", "cannot be read", "its element type is unknown")
      }
      throw Failure("tensor '\(name)'", "cannot be read", "its elements are \(kind)", remedy: "expected numbers")
    }
    self.init(name: name, dtype: dtype, shape: dataset.shape, bytes: dataset.bytes)
  }
}

extension DType {
  fileprivate init?(_ type: HDF5ElementType) {
    switch type {
    case .float(16): self = .f16
    case .float(32): self = .f32
    case .float(64): self = .f64
    case .brainFloat: self = .bf16
    case .signed(8): self = .i8
    case .signed(16): self = .i16
    case .signed(32): self = .i32
    case .signed(64): self = .i64
    case .unsigned(8): self = .u8
    case .unsigned(16): self = .u16
    case .unsigned(32): self = .u32
    case .unsigned(64): self = .u64
    case .boolean: self = .bool
    case .float, .signed, .unsigned, .unsupported: return nil
    }
  }
}

extension HDF5ElementType {
  /// The element type of a tensor that an HDF5 file can hold.
  ///
  /// - Precondition: An HDF5 file gives tensors of the type.
  init(_ dtype: DType) {
    switch dtype {
    case .bool: self = .boolean
    case .f16: self = .float(bits: 16)
    case .bf16: self = .brainFloat
    case .f32: self = .float(bits: 32)
    case .f64: self = .float(bits: 64)
    case .i8: self = .signed(bits: 8)
    case .i16: self = .signed(bits: 16)
    case .i32: self = .signed(bits: 32)
    case .i64: self = .signed(bits: 64)
    case .u8: self = .unsigned(bits: 8)
    case .u16: self = .unsigned(bits: 16)
    case .u32: self = .unsigned(bits: 32)
    case .u64: self = .unsigned(bits: 64)
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64:
      preconditionFailure("an HDF5 file gives no tensor of type \(dtype.rawValue)")
    }
  }
}

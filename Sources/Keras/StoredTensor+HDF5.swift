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
  /// The type of the tensors that files store so; nil where no tensor is.
  fileprivate init?(_ type: HDF5ElementType) {
    guard let dtype = Self.allCases.first(where: { $0.hdf5 == type }) else { return nil }
    self = dtype
  }

  /// The element type that HDF5 files have for it; nil where they have none.
  fileprivate var hdf5: HDF5ElementType? {
    switch self {
    case .bool: .boolean
    case .f16: .float(bits: 16)
    case .bf16: .brainFloat
    case .f32: .float(bits: 32)
    case .f64: .float(bits: 64)
    case .i8: .signed(bits: 8)
    case .i16: .signed(bits: 16)
    case .i32: .signed(bits: 32)
    case .i64: .signed(bits: 64)
    case .u8: .unsigned(bits: 8)
    case .u16: .unsigned(bits: 16)
    case .u32: .unsigned(bits: 32)
    case .u64: .unsigned(bits: 64)
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64: nil
    }
  }
}

extension HDF5ElementType {
  /// The element type of a tensor that an HDF5 file can hold.
  ///
  /// - Precondition: An HDF5 file gives tensors of the type.
  init(_ dtype: DType) {
    guard let type = dtype.hdf5 else {
      preconditionFailure("no HDF5 file gives a tensor of type \(dtype.rawValue)")
    }
    self = type
  }
}

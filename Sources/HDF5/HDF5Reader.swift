import Basics
import CHDF5

/// Reads groups and datasets of an open file. Limits keep a hostile file from exhausting memory or running in a circle.
struct HDF5Reader {
  private static let maximumDepth = 32
  private static let maximumObjects = 1_000_000
  private var objectCount = 0
  private var depth = 0

  // MARK: Groups

  mutating func group(
    _ handle: borrowing Handle, path: String, skipping: Set<String> = []
  ) throws -> HDF5Group {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else {
      throw Failure(
        path, "cannot be read", "groups are nested more than \(Self.maximumDepth) deep or contain themselves")
    }
    var result = HDF5Group(attributes: try attributes(of: handle, path: path))
    for name in try memberNames(handle, path: path) {
      if skipping.contains(name) {
        result.groups[name] = HDF5Group()
        continue
      }
      let memberPath = path.isEmpty ? name : "\(path)/\(name)"
      objectCount += 1
      guard objectCount <= Self.maximumObjects else {
        throw Failure(memberPath, "cannot be read", "the file has more than \(Self.maximumObjects) objects")
      }
      guard unsafe chdf5_is_indirect_link(handle.id, name) == 0 else {
        throw Failure(
          memberPath, "cannot be read", "it is a soft or external link, which is not followed",
          remedy: "store the data itself")
      }
      let object = try Handle(unsafe H5Oopen(handle.id, name, 0), H5Oclose, memberPath)
      switch H5Iget_type(object.id) {
      case H5I_GROUP: result.groups[name] = try group(object, path: memberPath)
      case H5I_DATASET: result.datasets[name] = try dataset(object, path: memberPath)
      default: break
      }
    }
    return result
  }

  private func memberNames(_ group: borrowing Handle, path: String) throws -> [String] {
    var info = H5G_info_t()
    try check(unsafe H5Gget_info(group.id, &info), path, "cannot be read")
    guard info.nlinks <= Self.maximumObjects else {
      throw Failure(path, "cannot be read", "it claims \(info.nlinks) members")
    }
    return try (0..<info.nlinks).map { position in
      unsafe try Self.text(path) { buffer, capacity in
        unsafe H5Lget_name_by_idx(
          group.id, ".", H5_INDEX_NAME, H5_ITER_INC, position, buffer, capacity, 0)
      }
    }
  }

  /// A name that the library copies into a buffer; it is asked for the length first.
  static func text(
    _ subject: String, _ copy: (UnsafeMutablePointer<CChar>?, Int) -> Int
  ) throws -> String {
    let length = copy(nil, 0)
    guard (0...4096).contains(length) else { throw libraryFailure(subject) }
    var buffer = [UInt8](repeating: 0, count: length + 1)
    let copied = unsafe buffer.withUnsafeMutableBytes { bytes in
      unsafe copy(bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
    }
    guard copied == length else { throw libraryFailure(subject) }
    return String(decoding: buffer.dropLast(), as: UTF8.self)
  }

  // MARK: Datasets

  private func dataset(_ handle: borrowing Handle, path: String) throws -> HDF5Dataset {
    let type = try Handle(H5Dget_type(handle.id), H5Tclose, path)
    let shape = try Self.extents(try Handle(H5Dget_space(handle.id), H5Sclose, path), path) ?? [0]
    let elementType = Self.elementType(of: type)
    guard let width = elementType.byteCount else {
      return HDF5Dataset(shape: shape, type: elementType, bytes: [])
    }
    try refuseForeignStorage(handle, path: path)
    let count = try byteCount(shape, width, stored: H5Dget_storage_size(handle.id), path: path)
    var bytes = [UInt8](repeating: 0, count: count)
    guard count > 0 else { return HDF5Dataset(shape: shape, type: elementType, bytes: []) }
    let memoryType = try Handle(chdf5_memory_type(type.id), H5Tclose, path)
    let status = unsafe bytes.withUnsafeMutableBytes { target in
      unsafe H5Dread(handle.id, memoryType.id, 0, 0, 0, target.baseAddress)
    }
    try check(status, path, "cannot be read")
    return HDF5Dataset(shape: shape, type: elementType, bytes: bytes)
  }

  private func refuseForeignStorage(_ dataset: borrowing Handle, path: String) throws {
    let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, path)
    guard H5Pget_layout(properties.id) != H5D_VIRTUAL, H5Pget_external_count(properties.id) == 0 else {
      throw Failure(
        path, "cannot be read", "its data lie in another file, which is not opened",
        remedy: "store the data in the file itself")
    }
  }

  /// Deflate shrinks to 1 : 1032 at most, so what is stored bounds what may be allocated; beyond that only small datasets
  /// that consist of the fill value are read.
  private func byteCount(_ shape: [Int], _ width: Int, stored: hsize_t, path: String) throws -> Int {
    var count = width
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw Failure(path, "cannot be read", "its shape \(shape) is too large") }
      count = product
    }
    let stored = Int(clamping: stored)
    guard count / 1100 <= stored || count <= 1 << 20 else {
      throw Failure(
        path, "cannot be read", "its shape \(shape) needs \(count) bytes and the file stores \(stored)")
    }
    return count
  }

  /// The extents of a dataspace; nil for a null dataspace, which has no elements.
  static func extents(_ space: consuming Handle, _ path: String) throws -> [Int]? {
    if H5Sget_simple_extent_type(space.id) == H5S_NULL { return nil }
    let order = H5Sget_simple_extent_ndims(space.id)
    guard (0...32).contains(order) else { throw libraryFailure(path) }
    var extents = [hsize_t](repeating: 0, count: Int(order))
    guard unsafe H5Sget_simple_extent_dims(space.id, &extents, nil) == order else { throw libraryFailure(path) }
    return try extents.map { extent in
      guard let extent = Int(exactly: extent) else {
        throw Failure(path, "cannot be read", "an extent of \(extent) is too large")
      }
      return extent
    }
  }

  private static func elementType(of type: borrowing Handle) -> HDF5ElementType {
    let width = H5Tget_size(type.id)
    switch H5Tget_class(type.id) {
    case H5T_FLOAT:
      let fields = [(2, 5, 10), (4, 8, 23), (8, 11, 52)]
      for (bytes, exponent, mantissa) in fields
      where width == bytes && chdf5_has_float_fields(type.id, exponent, mantissa) != 0 {
        return .float(bits: bytes * 8)
      }
      if chdf5_is_byte_float(type.id) != 0 { return .float(bits: 32) }
      return width == 2 && chdf5_has_float_fields(type.id, 8, 7) != 0
        ? .brainFloat : .unsupported("an unusual floating-point type")
    case H5T_INTEGER where [1, 2, 4, 8].contains(width):
      return H5Tget_sign(type.id) == H5T_SGN_NONE
        ? .unsigned(bits: width * 8) : .signed(bits: width * 8)
    case H5T_ENUM where width == 1 && H5Tget_nmembers(type.id) == 2: return .boolean
    case H5T_OPAQUE where width == 2: return .brainFloat
    case H5T_STRING: return .unsupported("text")
    case H5T_COMPOUND: return .unsupported("a compound type")
    default: return .unsupported("a type of \(width) bytes that arrays of numbers do not have")
    }
  }
}

import Basics
import CHDF5

extension HDF5Reader {
  private static let maximumAttributes = 100_000
  private static let maximumBytes = 1 << 26

  func attributes(of object: borrowing Handle, path: String) throws -> [String: HDF5Attribute] {
    let count = H5Aget_num_attrs(object.id)
    guard (0...Int32(Self.maximumAttributes)).contains(count) else { throw libraryFailure(path) }
    var result: [String: HDF5Attribute] = [:]
    for position in 0..<hsize_t(count) {
      let attribute = try Handle(
        unsafe H5Aopen_by_idx(object.id, ".", H5_INDEX_NAME, H5_ITER_INC, position, 0, 0),
        H5Aclose, path)
      let name = unsafe try Self.text(path) { buffer, capacity in
        unsafe H5Aget_name(attribute.id, capacity, buffer)
      }
      result[name] = try value(attribute, "\(path)@\(name)")
    }
    return result
  }

  private func value(_ attribute: borrowing Handle, _ subject: String) throws -> HDF5Attribute {
    let type = try Handle(H5Aget_type(attribute.id), H5Tclose, subject)
    let extents = try Self.extents(try Handle(H5Aget_space(attribute.id), H5Sclose, subject), subject)
    guard let extents, !extents.contains(0) else { return .empty }
    guard H5Tget_class(type.id) == H5T_STRING, extents.count <= 1 else { return .unsupported }
    let count = extents.first ?? 1
    let width = H5Tget_size(type.id)
    // An attribute is stored whole, so its elements cannot be more than its bytes.
    let (bytes, overflow) = count.multipliedReportingOverflow(by: width)
    guard !overflow, bytes <= Self.maximumBytes, bytes <= Int(clamping: H5Aget_storage_size(attribute.id))
    else { throw Failure(subject, "cannot be read", "it claims \(count) strings of \(width) bytes") }
    let strings =
      H5Tis_variable_str(type.id) > 0
      ? try variableStrings(attribute, type, count, subject)
      : try fixedStrings(attribute, type, count, width, subject)
    return extents.isEmpty ? .string(strings[0]) : .strings(strings)
  }

  private func fixedStrings(
    _ attribute: borrowing Handle, _ type: borrowing Handle, _ count: Int, _ width: Int, _ subject: String
  ) throws -> [String] {
    var bytes = [UInt8](repeating: 0, count: count * width)
    let status = unsafe bytes.withUnsafeMutableBytes { target in
      unsafe H5Aread(attribute.id, type.id, target.baseAddress)
    }
    try check(status, subject, "cannot be read")
    let isSpacePadded = H5Tget_strpad(type.id) == H5T_STR_SPACEPAD
    return (0..<count).map { position in
      var text = bytes[position * width..<(position + 1) * width]
      if isSpacePadded {
        while text.last == UInt8(ascii: " ") { text.removeLast() }
      } else if let end = text.firstIndex(of: 0) {
        text = text[..<end]
      }
      return String(decoding: text, as: UTF8.self)
    }
  }

  private func variableStrings(
    _ attribute: borrowing Handle, _ type: borrowing Handle, _ count: Int, _ subject: String
  ) throws -> [String] {
    let space = try Handle(H5Aget_space(attribute.id), H5Sclose, subject)
    var pointers = unsafe [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    let strings: [String]? = unsafe pointers.withUnsafeMutableBufferPointer { target in
      guard unsafe H5Aread(attribute.id, type.id, target.baseAddress) >= 0 else { return nil }
      defer { _ = unsafe H5Dvlen_reclaim(type.id, space.id, 0, target.baseAddress) }
      return unsafe target.map { pointer in
        unsafe pointer.map { text in unsafe String(cString: text) } ?? ""
      }
    }
    guard let strings else { throw libraryFailure(subject) }
    return strings
  }
}

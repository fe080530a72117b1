import Basics
import CHDF5

/// Writes trees in the form that is smallest for many small datasets: groups of HDF5 1.8 (compact, readable since 2008) and
/// contiguous data.
enum HDF5Writer {
  /// A string of fixed length lies in the header of its group, which is limited to 64 kB; one of variable length lies in a
  /// heap that grows by 4 kB.
  private static let largestFixedString = 64_000

  /// - Parameter path: what errors are about.
  static func accessProperties(_ path: String) throws -> Handle {
    let access = try Handle(H5Pcreate(chdf5_class_file_access()), H5Pclose, path)
    try check(H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V18), path, "cannot be written")
    // Otherwise space is reserved in blocks, and what is left of the last ones stays in the file.
    try check(H5Pset_meta_block_size(access.id, 0), path, "cannot be written")
    try check(H5Pset_small_data_block_size(access.id, 0), path, "cannot be written")
    return access
  }

  /// - Returns: the size of the file in bytes.
  static func write(_ root: HDF5Group, path: String, access: borrowing Handle) throws -> Int {
    let creation = try Handle(H5Pcreate(chdf5_class_file_create()), H5Pclose, path)
    try prepare(creation, for: root, path)
    let file = try Handle(
      unsafe H5Fcreate(path, chdf5_truncate(), creation.id, access.id), H5Fclose, path)
    do {
      let group = try Handle(unsafe H5Gopen2(file.id, "/", 0), H5Gclose, path)
      try fill(group, with: root, path)
    }
    try check(H5Fflush(file.id, H5F_SCOPE_LOCAL), path, "cannot be written")
    return Int(clamping: chdf5_file_size(file.id))
  }

  /// Properties of a group to be created: no times, all links in the header, whose size is estimated from the names.
  private static func prepare(_ properties: borrowing Handle, for group: HDF5Group, _ path: String) throws {
    let names = Array(group.groups.keys) + Array(group.datasets.keys)
    let lengths = names.map(\.utf8.count)
    let average = names.isEmpty ? 0 : (lengths.reduce(0, +) + names.count - 1) / names.count
    try check(H5Pset_obj_track_times(properties.id, false), path, "cannot be written")
    try check(H5Pset_link_phase_change(properties.id, 65535, 65535), path, "cannot be written")
    try check(
      H5Pset_est_link_info(
        properties.id, UInt32(clamping: min(names.count, 65535)), UInt32(clamping: min(average, 65535))),
      path, "cannot be written")
  }

  private static func fill(_ handle: borrowing Handle, with group: HDF5Group, _ path: String) throws {
    for (name, attribute) in group.attributes.sorted(by: { $0.key < $1.key }) {
      try write(attribute, name: name, to: handle, path)
    }
    let names = (Array(group.groups.keys) + Array(group.datasets.keys)).sorted()
    for name in names {
      if let dataset = group.datasets[name] {
        try write(dataset, name: name, to: handle, path)
      } else if let member = group.groups[name] {
        let properties = try Handle(H5Pcreate(chdf5_class_group_create()), H5Pclose, path)
        try prepare(properties, for: member, path)
        let child = try Handle(
          unsafe H5Gcreate2(handle.id, name, 0, properties.id, 0), H5Gclose, path)
        try fill(child, with: member, path)
      }
    }
  }

  // MARK: Datasets

  private static func write(
    _ dataset: HDF5Dataset, name: String, to group: borrowing Handle, _ path: String
  ) throws {
    let type = try memoryType(dataset.type, path)
    let extents = dataset.shape.map { hsize_t($0) }
    let space = try Handle(
      unsafe H5Screate_simple(Int32(extents.count), extents, nil), H5Sclose, path)
    let properties = try Handle(H5Pcreate(chdf5_class_dataset_create()), H5Pclose, path)
    try check(H5Pset_obj_track_times(properties.id, false), path, "cannot be written")
    try check(H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER), path, "cannot be written")
    let handle = try Handle(
      unsafe H5Dcreate2(group.id, name, type.id, space.id, 0, properties.id, 0), H5Dclose, path)
    // HDF5 has no such type: this is how Keras 3 tells it from other two bytes.
    if dataset.type == .brainFloat { try writeVariable("bfloat16", name: "dtype", to: handle, path) }
    guard !dataset.bytes.isEmpty else { return }
    let status = unsafe dataset.bytes.withUnsafeBytes { bytes in
      unsafe H5Dwrite(handle.id, type.id, 0, 0, 0, bytes.baseAddress)
    }
    try check(status, path, "cannot be written")
  }

  private static func memoryType(_ type: HDF5ElementType, _ path: String) throws -> Handle {
    switch type {
    case .float(let bits): return try Handle(chdf5_type_float(Int32(bits)), H5Tclose, path)
    case .signed(let bits): return try Handle(chdf5_type_signed(Int32(bits)), H5Tclose, path)
    case .unsigned(let bits): return try Handle(chdf5_type_unsigned(Int32(bits)), H5Tclose, path)
    case .brainFloat: return try Handle(H5Tcreate(H5T_OPAQUE, 2), H5Tclose, path)
    case .boolean:
      let base = try Handle(chdf5_type_signed(8), H5Tclose, path)
      let type = try Handle(H5Tenum_create(base.id), H5Tclose, path)
      for (name, value) in [("FALSE", Int8(0)), ("TRUE", Int8(1))] {
        let status = unsafe withUnsafePointer(to: value) { unsafe H5Tenum_insert(type.id, name, $0) }
        try check(status, path, "cannot be written")
      }
      return type
    case .unsupported(let kind):
      preconditionFailure("\(kind) cannot be written")
    }
  }

  // MARK: Attributes

  private static func write(
    _ attribute: HDF5Attribute, name: String, to object: borrowing Handle, _ path: String
  ) throws {
    switch attribute {
    case .string(let text) where text.utf8.count <= largestFixedString:
      try writeFixed([text], name: name, extents: nil, to: object, path)
    case .string(let text): try writeVariable(text, name: name, to: object, path)
    case .strings(let texts) where !texts.isEmpty:
      try writeFixed(texts, name: name, extents: texts.count, to: object, path)
    case .strings, .empty:
      _ = try create(name, try Handle(chdf5_type_float(64), H5Tclose, path), extents: 0, on: object, path)
    case .unsupported:
      preconditionFailure("attribute '\(name)' cannot be written")
    }
  }

  /// A string of its own length, which Python reads as text and not as bytes.
  private static func writeVariable(
    _ text: String, name: String, to object: borrowing Handle, _ path: String
  ) throws {
    let type = try Handle(chdf5_type_c_string(), H5Tclose, path)
    try check(H5Tset_size(type.id, chdf5_variable_length()), path, "cannot be written")
    try check(H5Tset_cset(type.id, H5T_CSET_UTF8), path, "cannot be written")
    let handle = try create(name, type, extents: nil, on: object, path)
    let status = unsafe text.withCString { start in
      unsafe withUnsafePointer(to: start) { unsafe H5Awrite(handle.id, type.id, $0) }
    }
    try check(status, path, "cannot be written")
  }

  /// Strings of one length, padded with zeros.
  ///
  /// - Parameter extents: nil for a scalar.
  private static func writeFixed(
    _ texts: [String], name: String, extents: Int?, to object: borrowing Handle, _ path: String
  ) throws {
    let width = max(1, texts.map(\.utf8.count).max() ?? 1)
    let type = try Handle(chdf5_type_c_string(), H5Tclose, path)
    try check(H5Tset_size(type.id, width), path, "cannot be written")
    try check(H5Tset_strpad(type.id, H5T_STR_NULLPAD), path, "cannot be written")
    try check(H5Tset_cset(type.id, H5T_CSET_UTF8), path, "cannot be written")
    let bytes = texts.flatMap { text in
      Array(text.utf8) + [UInt8](repeating: 0, count: width - text.utf8.count)
    }
    let handle = try create(name, type, extents: extents, on: object, path)
    let status = unsafe bytes.withUnsafeBytes { unsafe H5Awrite(handle.id, type.id, $0.baseAddress) }
    try check(status, path, "cannot be written")
  }

  /// - Parameter extents: nil for a scalar.
  private static func create(
    _ name: String, _ type: borrowing Handle, extents: Int?, on object: borrowing Handle, _ path: String
  ) throws -> Handle {
    let space =
      if let extents {
        try Handle(unsafe H5Screate_simple(1, [hsize_t(extents)], nil), H5Sclose, path)
      } else {
        try Handle(H5Screate(H5S_SCALAR), H5Sclose, path)
      }
    return try Handle(
      unsafe H5Acreate2(object.id, name, type.id, space.id, 0, 0), H5Aclose, path)
  }
}

import Basics
import CHDF5

/// Writes trees in the form that is smallest for many small datasets: groups of HDF5 1.8 (compact, readable since 2008) and
/// contiguous data. Only numbers in fewer than 8 bits need HDF5 1.10 (2016), which points to a single compressed chunk without a tree.
enum HDF5Writer {
  /// A string of fixed length lies in the header of its group, which is limited to 64 kB; one of variable length lies in a
  /// heap that grows by 4 kB.
  static let largestFixedString = 64_000
  /// The bytes of a list of strings that Keras puts into one attribute; a longer one takes several attributes.
  static let largestList = 64_512
  /// The attributes that the library keeps in a header unless it is told otherwise.
  static let usualAttributeCount = 8
  private static let problem = "cannot be written"

  /// - Parameter path: what errors are about.
  static func accessProperties(_ path: String, for root: HDF5Group) throws -> Handle {
    let access = try Handle(H5Pcreate(chdf5_class_file_access()), H5Pclose, path, problem)
    let version = root.allDatasets.contains { $0.dataset.type.isCoded } ? H5F_LIBVER_V110 : H5F_LIBVER_V18
    try check(H5Pset_libver_bounds(access.id, version, version), path, problem)
    // Otherwise space is reserved in blocks, and what is left of the last ones stays in the file.
    try check(H5Pset_meta_block_size(access.id, 0), path, problem)
    try check(H5Pset_small_data_block_size(access.id, 0), path, problem)
    return access
  }

  /// Writes a file and closes it.
  ///
  /// - Returns: the size of the file in bytes.
  /// - Throws: `Failure` when anything cannot be written, up to the last byte that the library holds back.
  static func write(_ root: HDF5Group, path: String, access: borrowing Handle) throws -> Int {
    let creation = try Handle(H5Pcreate(chdf5_class_file_create()), H5Pclose, path, problem)
    try prepare(creation, for: root, path)
    let file = try Handle(
      unsafe H5Fcreate(path, chdf5_truncate(), creation.id, access.id), H5Fclose, path, problem)
    let group = try Handle(unsafe H5Gopen2(file.id, "/", 0), H5Gclose, path, problem)
    try fill(group, with: root, path)
    try group.close(writing: path)
    try check(H5Fflush(file.id, H5F_SCOPE_LOCAL), path, problem)
    let byteCount = Int(clamping: chdf5_file_size(file.id))
    try file.close(writing: path)
    return byteCount
  }

  /// Properties of a group to be created: no times, all links in the header, whose size is estimated from the names, and all
  /// attributes too.
  private static func prepare(_ properties: borrowing Handle, for group: HDF5Group, _ path: String) throws {
    let estimates = try Failure.within(path) {
      try HDF5Estimates(
        names: Array(group.groups.keys) + Array(group.datasets.keys), attributeCount: group.attributes.count)
    }
    try check(H5Pset_obj_track_times(properties.id, false), path, problem)
    try check(H5Pset_link_phase_change(properties.id, 65535, 65535), path, problem)
    try check(
      H5Pset_est_link_info(properties.id, UInt32(estimates.count), UInt32(estimates.nameLength)), path, problem)
    guard group.attributes.count > usualAttributeCount else { return }
    try check(H5Pset_attr_phase_change(properties.id, 65535, 65535), path, problem)
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
        let properties = try Handle(H5Pcreate(chdf5_class_group_create()), H5Pclose, path, problem)
        try prepare(properties, for: member, path)
        let child = try Handle(
          unsafe H5Gcreate2(handle.id, name, 0, properties.id, 0), H5Gclose, path, problem)
        try fill(child, with: member, path)
        try child.close(writing: path)
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
      unsafe H5Screate_simple(Int32(extents.count), extents, nil), H5Sclose, path, problem)
    let properties = try Handle(H5Pcreate(chdf5_class_dataset_create()), H5Pclose, path, problem)
    try check(H5Pset_obj_track_times(properties.id, false), path, problem)
    try check(H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER), path, problem)
    // Otherwise the library reserves room for attributes.
    if dataset.type != .brainFloat { try check(H5Pset_dset_no_attrs_hint(properties.id, true), path, problem) }
    if dataset.type.isCoded {
      let status = unsafe H5Pset_chunk(properties.id, Int32(extents.count), extents)
      try check(status, path, problem)
      try check(H5Pset_deflate(properties.id, 1), path, problem)
    }
    let handle = try Handle(
      unsafe H5Dcreate2(group.id, name, type.id, space.id, 0, properties.id, 0), H5Dclose, path, problem)
    // HDF5 has no such type: this is how Keras 3 tells it from other two bytes.
    if dataset.type == .brainFloat { try writeVariable("bfloat16", name: "dtype", to: handle, path) }
    if case .byteFloat(_, let bits) = dataset.type {
      let chunk = FixedLengthDeflate.stream(dataset.bytes, bits: bits)
      let status = unsafe chunk.withUnsafeBytes { bytes in
        unsafe H5Dwrite_chunk(handle.id, 0, 0, extents.map { _ in 0 }, bytes.count, bytes.baseAddress)
      }
      try check(status, path, problem)
    } else if !dataset.bytes.isEmpty {
      let status = unsafe dataset.bytes.withUnsafeBytes { bytes in
        unsafe H5Dwrite(handle.id, type.id, 0, 0, 0, bytes.baseAddress)
      }
      try check(status, path, problem)
    }
    try handle.close(writing: path)
  }

  private static func memoryType(_ type: HDF5ElementType, _ path: String) throws -> Handle {
    switch type {
    case .float(let bits): return try Handle(chdf5_type_float(Int32(bits)), H5Tclose, path, problem)
    case .signed(let bits): return try Handle(chdf5_type_signed(Int32(bits)), H5Tclose, path, problem)
    case .unsigned(let bits): return try Handle(chdf5_type_unsigned(Int32(bits)), H5Tclose, path, problem)
    case .byteFloat(let bias, _): return try Handle(chdf5_type_byte_float(bias), H5Tclose, path, problem)
    case .brainFloat: return try Handle(H5Tcreate(H5T_OPAQUE, 2), H5Tclose, path, problem)
    case .boolean:
      let base = try Handle(chdf5_type_signed(8), H5Tclose, path, problem)
      let type = try Handle(H5Tenum_create(base.id), H5Tclose, path, problem)
      for (name, value) in [("FALSE", Int8(0)), ("TRUE", Int8(1))] {
        let status = unsafe withUnsafePointer(to: value) { unsafe H5Tenum_insert(type.id, name, $0) }
        try check(status, path, problem)
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
    try Failure.within(path) { try HDF5AttributeSize(attribute).check(name) }
    switch attribute {
    case .string(let text) where text.utf8.count <= largestFixedString:
      try writeFixed([text], name: name, extents: nil, to: object, path)
    case .string(let text): try writeVariable(text, name: name, to: object, path)
    case .strings(let texts) where !texts.isEmpty:
      try writeFixed(texts, name: name, extents: texts.count, to: object, path)
    case .strings, .empty:
      try create(name, try Handle(chdf5_type_float(64), H5Tclose, path, problem), extents: 0, on: object, path)
        .close(writing: path)
    case .unsupported:
      preconditionFailure("attribute '\(name)' cannot be written")
    }
  }

  /// A string of its own length, which Python reads as text and not as bytes.
  private static func writeVariable(
    _ text: String, name: String, to object: borrowing Handle, _ path: String
  ) throws {
    let type = try Handle(chdf5_type_c_string(), H5Tclose, path, problem)
    try check(H5Tset_size(type.id, chdf5_variable_length()), path, problem)
    try check(H5Tset_cset(type.id, H5T_CSET_UTF8), path, problem)
    let handle = try create(name, type, extents: nil, on: object, path)
    let status = unsafe text.withCString { start in
      unsafe withUnsafePointer(to: start) { unsafe H5Awrite(handle.id, type.id, $0) }
    }
    try check(status, path, problem)
    try handle.close(writing: path)
  }

  /// Strings of one length, padded with zeros.
  ///
  /// - Parameter extents: nil for a scalar.
  private static func writeFixed(
    _ texts: [String], name: String, extents: Int?, to object: borrowing Handle, _ path: String
  ) throws {
    let width = max(1, texts.map(\.utf8.count).max() ?? 1)
    let type = try Handle(chdf5_type_c_string(), H5Tclose, path, problem)
    try check(H5Tset_size(type.id, width), path, problem)
    try check(H5Tset_strpad(type.id, H5T_STR_NULLPAD), path, problem)
    try check(H5Tset_cset(type.id, H5T_CSET_UTF8), path, problem)
    let bytes = texts.flatMap { text in
      Array(text.utf8) + [UInt8](repeating: 0, count: width - text.utf8.count)
    }
    let handle = try create(name, type, extents: extents, on: object, path)
    let status = unsafe bytes.withUnsafeBytes { unsafe H5Awrite(handle.id, type.id, $0.baseAddress) }
    try check(status, path, problem)
    try handle.close(writing: path)
  }

  /// - Parameter extents: nil for a scalar.
  private static func create(
    _ name: String, _ type: borrowing Handle, extents: Int?, on object: borrowing Handle, _ path: String
  ) throws -> Handle {
    let space =
      if let extents {
        try Handle(unsafe H5Screate_simple(1, [hsize_t(extents)], nil), H5Sclose, path, problem)
      } else {
        try Handle(H5Screate(H5S_SCALAR), H5Sclose, path, problem)
      }
    return try Handle(
      unsafe H5Acreate2(object.id, name, type.id, space.id, 0, 0), H5Aclose, path, problem)
  }
}

/// What the library is told about a group's links before they are there: how many, and how long their names are on average.
struct HDF5Estimates {
  let count: Int
  /// The length of a name on average, rounded up, in bytes.
  let nameLength: Int
  /// Beyond it, the library leaves the form of groups that this program writes.
  private static let maximumCount = 65535

  /// - Throws: `Failure` where the group has more in it than the form holds.
  init(names: [String], attributeCount: Int) throws {
    guard max(names.count, attributeCount) <= Self.maximumCount else {
      throw Failure(
        "", "cannot be written", "a group has \(max(names.count, attributeCount)) members",
        remedy: "expected at most \(Self.maximumCount)")
    }
    let total = names.reduce(0) { $0 + $1.utf8.count }
    count = names.count
    nameLength = names.isEmpty ? 0 : min((total + names.count - 1) / names.count, Self.maximumCount)
  }
}

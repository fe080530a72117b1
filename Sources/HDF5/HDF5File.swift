import Basics
import CHDF5

/// Whole HDF5 files as values.
package enum HDF5File {
  /// Reads a file.
  ///
  /// The file is not trusted: links that leave it, external and virtual storage and plug-ins are refused, nothing is allocated
  /// that its stored bytes cannot fill, and a child process reads it first (`Rehearsal`).
  ///
  /// - Parameter skipping: names of groups at the root whose content is left out.
  /// - Throws: `Failure` when the file is damaged or does something that is refused.
  package static func read(_ path: String, skipping: Set<String> = []) throws -> HDF5Group {
    try withHDF5Library {
      try Rehearsal(path: path, skipping: skipping).perform()
      return try readTrusted(path, skipping: skipping)
    }
  }

  /// Reads a file that the library is known to survive. The caller has the library to itself.
  static func readTrusted(_ path: String, skipping: Set<String>) throws -> HDF5Group {
    let file = try Handle(unsafe H5Fopen(path, chdf5_read_only(), 0), H5Fclose, path)
    let root = try Handle(unsafe H5Gopen2(file.id, "/", 0), H5Gclose, path)
    var reader = HDF5Reader()
    return try reader.group(root, path: "", skipping: skipping)
  }

  /// Writes a new file; members and attributes are created in the order of their names, without times, so that the same tree
  /// gives the same bytes.
  ///
  /// - Throws: `Failure` when the file cannot be written.
  /// - Precondition: no unsupported attribute or element type in the tree.
  package static func write(_ root: HDF5Group, to path: String) throws {
    try withHDF5Library {
      let access = try HDF5Writer.accessProperties(path, for: root)
      _ = try HDF5Writer.write(root, path: path, access: access)
    }
  }

  /// The exact size in bytes of the file that `write` makes, from names, types and shapes: the arrays' bytes may be left out.
  ///
  /// - Precondition: no unsupported attribute or element type in the tree.
  /// - Throws: `Failure` where a group has more in it than `write` writes.
  /// - Complexity: O(objects).
  package static func byteCount(_ root: HDF5Group) throws -> Int {
    var tree = HDF5SizeTree(root)
    return try tree.fileByteCount()
  }

  /// The same as the library finds it, on a file in memory: what `byteCount` is tested against, and what proves it of one file.
  ///
  /// - Precondition: no unsupported attribute or element type in the tree.
  /// - Throws: `Failure` where a group has more in it than `write` writes.
  package static func writtenByteCount(_ root: HDF5Group) throws -> Int {
    try withHDF5Library {
      let access = try HDF5Writer.accessProperties("size", for: root)
      // The file in memory grows by single bytes, so that its end is the end of what is in it.
      try check(H5Pset_fapl_core(access.id, 1, false), "size", "cannot be computed")
      return try HDF5Writer.write(root, path: "size", access: access)
    }
  }
}

import Basics
import HDF5
import TensorCore

/// `.npz`: a ZIP archive whose members `name.npy` are arrays.
enum NumPyArchive {
  private static let suffix = ".npy"

  /// The arrays in the order of the archive; members that are no arrays are left out, as by NumPy's own `files`.
  ///
  /// - Throws: `Failure` about the archive or an array, for the caller to add the path.
  static func read(_ file: [UInt8]) throws -> [StoredTensor] {
    let archive = try ZipArchive(file)
    return try archive.members.filter { $0.name.hasSuffix(suffix) }.map { member in
      let name = String(member.name.dropLast(suffix.count))
      do {
        return try NumPyArray.read(name: name, try archive.contents(of: member))
      } catch let failure as Failure where failure.subject == "array" {
        throw Failure("array '\(name)'", failure.problem, failure.reason, remedy: failure.remedy)
      }
    }
  }

  /// An archive of stored members with a fixed date: the same arrays give the same bytes.
  ///
  /// - Throws: `Failure` when an array has no NumPy form, or the archive would need ZIP64.
  static func fileBytes(_ tensors: [StoredTensor]) throws -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for tensor in tensors {
      let contents = try NumPyArray.fileBytes(tensor)
      let name = Array((tensor.name + suffix).utf8)
      guard let count = UInt32(exactly: contents.count), let offset = UInt32(exactly: file.count),
        let nameLength = UInt16(exactly: name.count)
      else { throw tooLarge }
      // Version 2.0, UTF-8 names, stored, 1 January 1980.
      var common: [UInt8] = []
      for word: UInt16 in [20, 0x0800, 0, 0, 0x0021] { common.appendLittleEndian(word) }
      for number in [crc32(contents[...]), count, count] { common.appendLittleEndian(number) }
      common.appendLittleEndian(nameLength)
      common.appendLittleEndian(0 as UInt16)

      directory += [0x50, 0x4B, 0x01, 0x02, 20, 0] + common
      // No comment, first disk, no attributes.
      directory += Array(repeating: 0, count: 10)
      directory.appendLittleEndian(offset)
      directory += name
      file += [0x50, 0x4B, 0x03, 0x04] + common + name + contents
    }
    guard let count = UInt16(exactly: tensors.count), count < .max,
      let length = UInt32(exactly: directory.count), let offset = UInt32(exactly: file.count)
    else { throw tooLarge }
    file += directory + [0x50, 0x4B, 0x05, 0x06, 0, 0, 0, 0]
    file.appendLittleEndian(count)
    file.appendLittleEndian(count)
    file.appendLittleEndian(length)
    file.appendLittleEndian(offset)
    file += [0, 0]
    return file
  }

  private static let tooLarge = Failure(
    "archive", "cannot be written", "it would have more than 4 GiB or 65534 arrays")
}

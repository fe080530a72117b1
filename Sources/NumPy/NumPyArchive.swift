import Basics
import TensorCore
import ZIP

/// `.npz`: a ZIP archive whose members `name.npy` are arrays.
package enum NumPyArchive {
  private static let suffix = ".npy"

  /// Whether a file begins as a ZIP archive does.
  package static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: Array("PK".utf8)) }

  /// The arrays in the order of the archive; members that are no arrays are left out, as by NumPy's own `files`.
  ///
  /// - Throws: `Failure` about the archive or an array, for the caller to add the path.
  package static func read(_ file: [UInt8]) throws -> [StoredTensor] {
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
  package static func fileBytes(_ tensors: [StoredTensor]) throws -> [UInt8] {
    try ZipArchive.fileBytes(tensors.map { ($0.name + suffix, try NumPyArray.fileBytes($0)) })
  }
}

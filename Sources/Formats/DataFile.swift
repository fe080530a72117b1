import Basics
import Checkpoints
import HDF5
import Keras
import NumPy
import Safetensors
import TensorCore

/// Arrays by name for calibration, reference and reports: `.npz`, `.npy`, `.safetensors` and `.h5`, told apart by content.
package enum DataFile {
  /// The name of the array in a `.npy` file, which has none.
  package static let defaultName = "inputs"

  /// The arrays in the order of the file; names are unique.
  ///
  /// - Throws: `Failure` when the file is damaged or of no known kind.
  package static func read(_ path: String) throws -> [StoredTensor] {
    // Data files are told by their content alone.
    let file = CheckpointFile(path: "", bytes: try InputFile.read(path))
    return try Failure.within(path) {
      if NumPyArray.isOne(file.bytes) { return [try NumPyArray.read(name: defaultName, file.bytes)] }
      if NumPyArchive.isOne(file.bytes) { return try NumPyArchive.read(file.bytes) }
      if HDF5File.isOne(file.bytes) { return try readHDF5(path) }
      if SafetensorsFile.isOne(file.bytes) { return try SafetensorsFile(parsing: file.bytes).tensors }
      let kind = CheckpointFormats.format(of: file)?.noun ?? UnsupportedFile(file)?.noun
      throw Failure(
        "", "cannot be read", kind.map { "it is \($0)" } ?? "its content is that of no known data file",
        remedy: "expected an .npz, .npy, .safetensors or .h5 file")
    }
  }

  /// The arrays of an HDF5 file, those in groups under their path.
  private static func readHDF5(_ path: String) throws -> [StoredTensor] {
    try HDF5File.read(path).allDatasets.map { try StoredTensor(name: $0.path, $0.dataset) }
  }

  /// Writes one array as `.npy`, without its name.
  ///
  /// - Throws: `Failure` when its dtype has no NumPy form, or the file exists or cannot be written.
  package static func writeNumPy(
    _ tensor: StoredTensor, to path: String, overwrite: Bool
  ) throws {
    try OutputFile.write(try NumPyArray.fileBytes(tensor), to: path, overwrite: overwrite)
  }

  /// Writes arrays as `.npz`, uncompressed; the same arrays give the same bytes.
  ///
  /// - Precondition: names are unique.
  /// - Throws: as `writeNumPy`.
  package static func writeNumPyArchive(
    _ tensors: [StoredTensor], to path: String, overwrite: Bool
  ) throws {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "arrays need unique names")
    try OutputFile.write(try NumPyArchive.fileBytes(tensors), to: path, overwrite: overwrite)
  }
}

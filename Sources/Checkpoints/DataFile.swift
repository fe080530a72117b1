import Basics
import Foundation
import TensorCore

/// Arrays by name for calibration, reference and reports: `.npz`, `.npy`, `.safetensors` and `.h5`, told apart by content.
public enum DataFile {
  /// The name of the array in a `.npy` file, which has none.
  public static let defaultName = "inputs"

  /// The arrays in the order of the file; names are unique.
  ///
  /// - Throws: `Failure` when the file is damaged or of no known kind.
  public static func read(_ path: String) throws -> [StoredTensor] {
    let bytes = try InputFile.read(path)
    do {
      if bytes.starts(with: NumPyArray.signature) {
        return [try NumPyArray.read(name: defaultName, bytes)]
      }
      if bytes.starts(with: Array("PK".utf8)) { return try NumPyArchive.read(bytes) }
      switch FileSignature(bytes) {
      case .hdf5: return try readHDF5(path: path)
      case .safetensors:
        return try SafetensorsSet.Shard(fileName: path, parsing: bytes).tensors
      case .onnx: throw unknown("it is an ONNX model")
      case .kerasArchive: throw unknown("it is a .keras archive")
      case .unsupported(let kind, _): throw unknown("it is \(kind)")
      case .unknown: throw unknown("its content is that of no known data file")
      }
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  private static func unknown(_ reason: String) -> Failure {
    Failure(
      "", "cannot be read", reason, remedy: "expected an .npz, .npy, .safetensors or .h5 file")
  }

  /// Writes one array as `.npy`, without its name.
  ///
  /// - Throws: `Failure` when its dtype has no NumPy form, or the file exists or cannot be written.
  public static func writeNumPy(
    _ tensor: StoredTensor, to path: String, overwrite: Bool
  ) throws {
    try OutputFile.write(try NumPyArray.fileBytes(tensor), to: path, overwrite: overwrite)
  }

  /// Writes arrays as `.npz`, uncompressed; the same arrays give the same bytes.
  ///
  /// - Precondition: names are unique.
  /// - Throws: as `writeNumPy`.
  public static func writeNumPyArchive(
    _ tensors: [StoredTensor], to path: String, overwrite: Bool
  ) throws {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "arrays need unique names")
    try OutputFile.write(try NumPyArchive.fileBytes(tensors), to: path, overwrite: overwrite)
  }

  /// The arrays of a safetensors file and its metadata.
  ///
  /// - Throws: `Failure` when the file is damaged.
  public static func readSafetensors(_ path: String) throws -> (tensors: [StoredTensor], metadata: [String: String]) {
    let bytes = try InputFile.read(path)
    do {
      let shard = try SafetensorsSet.Shard(fileName: path, parsing: bytes)
      return (shard.tensors, shard.metadata)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// Writes arrays as safetensors; the same arrays give the same bytes.
  ///
  /// - Throws: `Failure` when the file exists or cannot be written.
  public static func writeSafetensors(
    _ tensors: [StoredTensor], metadata: [String: String] = [:], to path: String, overwrite: Bool
  ) throws {
    let shard = SafetensorsSet.Shard(fileName: path, metadata: metadata, tensors: tensors)
    try OutputFile.write(shard.fileBytes(), to: path, overwrite: overwrite)
  }
}

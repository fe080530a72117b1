import Basics
import TensorCore

extension DataFile {
  /// The datasets at the root of an HDF5 file.
  static func readHDF5(path: String, bytes: [UInt8]) throws -> [StoredTensor] {
    throw Failure(
      path, "cannot be read", "this build reads no HDF5 data files",
      remedy: "store the arrays as .npz")
  }
}

import Basics
import HDF5
import TensorCore

extension DataFile {
  /// The arrays of an HDF5 file, those in groups under their path.
  static func readHDF5(path: String) throws -> [StoredTensor] {
    try HDF5File.read(path).allDatasets.map { try StoredTensor(name: $0.path, $0.dataset) }
  }
}

import Basics

/// The Keras format's part of opening and writing.
extension Checkpoint {
  /// - Parameter bytes: the whole HDF5 file.
  static func openKeras(path: String, bytes: [UInt8], sha256: String) throws -> Checkpoint {
    throw kerasFailure(path)
  }

  func writeKeras(
    _ file: KerasFile, replacing replacements: [Replacement], record: JSON, to path: String,
    overwrite: Bool
  ) throws {
    throw Self.kerasFailure(path)
  }

  func kerasByteCount(
    _ file: KerasFile, replacing replacements: [Replacement], record: JSON
  ) throws -> Int {
    throw Self.kerasFailure(path)
  }

  private static func kerasFailure(_ path: String) -> Failure {
    Failure(path, "cannot be read", "this build has no Keras reader")
  }
}

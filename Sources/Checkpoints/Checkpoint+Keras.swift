import Basics
import HDF5
import TensorCore

/// The Keras format's part of opening and writing.
extension Checkpoint {
  static func openKeras(path: String, byteCount: Int, sha256: String) throws -> Checkpoint {
    do {
      return try Checkpoint(path, try KerasFile(path: path), archive: nil, byteCount, sha256)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  static func openKerasArchive(path: String, bytes: [UInt8]) throws -> Checkpoint {
    do {
      let (archive, file) = try KerasArchive.read(bytes)
      return try Checkpoint(path, file, archive: archive, bytes.count, hexadecimalSHA256(of: bytes))
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  private init(
    _ path: String, _ stored: KerasFile, archive: KerasArchive?, _ byteCount: Int, _ sha256: String
  ) throws {
    let content = try KerasGraph(stored, archive: archive)
    let file = content.file
    self.init(
      path: path, format: archive == nil ? .kerasHDF5 : .kerasArchive, formatVersion: stored.kerasVersion,
      sha256: sha256,
      byteCount: byteCount,
      tensors: file.layers.flatMap(\.weights) + (file.topLevelWeights ?? []),
      layers: content.layers, graph: content.graph, graphAbsence: content.absence,
      notices: Self.notices(stored, file), record: file.record, content: .keras(content))
  }

  private static func notices(_ stored: KerasFile, _ file: KerasFile) -> [String] {
    var notices: [String] = []
    if stored.hasOptimizerState {
      notices.append("the optimiser's state is left out: it does not fit compressed weights")
    }
    if file.majorVersion > stored.majorVersion {
      notices.append(
        "the file is one of Keras \(stored.kerasVersion ?? "1"); what is written is in the form of Keras "
          + (file.kerasVersion ?? "2"))
    }
    if stored.backend == "theano", file.backend != stored.backend {
      notices.append("the kernels are Theano's; they are turned by 180 degrees, as Keras does for TensorFlow")
    }
    return notices
  }

  func writeKeras(
    _ content: KerasGraph, replacing replacements: [Replacement], record: JSON, to path: String,
    overwrite: Bool
  ) throws {
    try write(
      try KerasEditor(content).replacing(replacements, record: record), of: content, to: path, overwrite: overwrite)
  }

  func write(_ file: KerasFile, of content: KerasGraph, to path: String, overwrite: Bool) throws {
    if let archive = content.archive {
      return try OutputFile.write(try archive.fileBytes(file), to: path, overwrite: overwrite)
    }
    try OutputFile.replace(path, overwrite: overwrite) { temporary in
      do {
        try HDF5File.write(file.hdf5, to: temporary)
      } catch let failure as Failure {
        throw Failure(path, failure.problem, failure.reason, remedy: failure.remedy)
      }
      try OutputFile.makeDurable(temporary, describedAs: path)
    }
  }

  func kerasByteCount(
    _ content: KerasGraph, replacing replacements: [Replacement], record: JSON
  ) throws -> Int {
    let file = try KerasEditor(content).replacing(replacements, record: record)
    return try content.archive?.byteCount(file) ?? HDF5File.byteCount(file.hdf5)
  }
}

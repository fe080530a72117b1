import Basics
import Foundation
import HDF5
import TensorCore

/// The Keras format's part of opening and writing.
extension Checkpoint {
  /// - Parameter architecture: what `model.to_json()` gave, for weights without one.
  static func openKeras(path: String, byteCount: Int, sha256: String, architecture: JSON?) throws -> Checkpoint {
    do {
      let root = try HDF5File.read(path, skipping: KerasFile.skipped)
      guard KerasVariables.isLayout(of: root) else {
        let file = try KerasFile(root, architecture: architecture)
        return try Checkpoint(path, file, in: .hdf5, byteCount, sha256)
      }
      guard let architecture else {
        throw Failure(
          "", "cannot be read", "it is a .weights.h5 file of Keras 3, which does not say what its layers are",
          remedy: "give the architecture with --architecture model.json: it is what model.to_json() returns")
      }
      let model = try KerasModel(architecture)
      let variables = try KerasVariables(root, of: model)
      let file = KerasFile(
        modelConfig: architecture, kerasVersion: architecture["keras_version"]?.string ?? "3", backend: nil,
        layers: try variables.layerGroups(of: model), topLevelWeights: nil, isWeightsOnly: true,
        hasOptimizerState: root.groups[KerasVariables.optimizer] != nil,
        record: try root.json(KerasFile.recordAttribute))
      return try Checkpoint(path, file, in: .variables(variables), byteCount, sha256)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  static func openKerasArchive(path: String, bytes: [UInt8]) throws -> Checkpoint {
    do {
      let (archive, file) = try KerasArchive.read(bytes)
      return try Checkpoint(path, file, in: .archive(archive), bytes.count, hexadecimalSHA256(of: bytes))
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  init(
    _ path: String, _ stored: KerasFile, in container: KerasContainer, _ byteCount: Int, _ sha256: String,
    notices: [String]? = nil
  ) throws {
    let content = try KerasGraph(stored, in: container)
    let file = content.file
    self.init(
      path: path, format: container.format, formatVersion: stored.kerasVersion, sha256: sha256,
      byteCount: byteCount, tensors: file.layers.flatMap(\.weights) + (file.topLevelWeights ?? []),
      layers: content.layers, graph: content.graph, graphAbsence: content.absence,
      notices: notices ?? Self.notices(stored, file), record: file.record, content: .keras(content))
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
    if file.isWeightsOnly, file.modelConfig != nil {
      notices.append("the file holds weights only: the architecture is written beside them, as a .json file")
    }
    return notices
  }

  func writeKeras(
    _ content: KerasGraph, replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool
  ) throws {
    let file = try KerasEditor(content).replacing(replacements, record: record)
    if case .archive(let archive) = content.container {
      return try OutputFile.write(try archive.fileBytes(file), to: path, overwrite: overwrite)
    }
    let root = try content.container.hdf5(of: file)
    func write(_ temporary: String) throws {
      do {
        try HDF5File.write(root, to: temporary)
      } catch let failure as Failure {
        throw Failure(path, failure.problem, failure.reason, remedy: failure.remedy)
      }
      try OutputFile.makeDurable(temporary, describedAs: path)
    }
    guard let beside = architecturePath(besides: path), let text = file.architectureText else {
      return try OutputFile.replace(path, overwrite: overwrite, write)
    }
    try OutputFile.replaceSet([beside, path], overwrite: overwrite) { temporaries in
      try OutputFile.create(temporaries[0], describedAs: beside, Data(text.utf8))
      try write(temporaries[1])
    }
  }

  func kerasByteCount(
    _ content: KerasGraph, replacing replacements: [Replacement], record: JSON
  ) throws -> Int {
    try content.sizes.sizes(of: content).byteCount(replacements, record: record)
  }

  /// Where the architecture goes when the checkpoint is written to a path; nil where the file itself holds it.
  public func architecturePath(besides path: String) -> String? {
    guard case .keras(let content) = content, content.file.isWeightsOnly, content.file.modelConfig != nil else {
      return nil
    }
    return CheckpointPath(path).architecture
  }
}

extension KerasContainer {
  fileprivate var format: Checkpoint.Format {
    switch self {
    case .hdf5: .kerasHDF5
    case .variables: .kerasWeights
    case .archive: .kerasArchive
    }
  }

  /// - Precondition: this is no archive.
  func hdf5(of file: KerasFile) throws -> HDF5Group {
    switch self {
    case .hdf5: return file.hdf5
    case .variables(let variables):
      var root = try variables.hdf5(of: file)
      if let record = file.record { root.attributes[KerasFile.recordAttribute] = .string(record.text()) }
      return root
    case .archive: preconditionFailure("an archive holds more than HDF5")
    }
  }
}

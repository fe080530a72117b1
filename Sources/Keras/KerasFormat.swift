import Basics
import Checkpoints
import Foundation
import HDF5
import Hashing
import KerasLayers
import TensorCore
import ZIP

/// Keras files: `.h5` of all versions, `.weights.h5` and `.keras` of Keras 3.
package enum KerasFormat: CheckpointFormat {
  package static let noun = "a Keras file"
  package static let expected = ["a Keras .keras or .h5 file"]
  package static let longSuffixes = [weightsSuffix]
  package static let writtenSuffixes: [String: String] = [:]
  package static let isStateDict = false

  private static let weightsSuffix = ".weights.h5"

  package static func recognizes(_ file: CheckpointFile) -> Bool {
    HDF5File.isOne(file.bytes) || isArchive(file)
  }

  package static func claims(_ path: String) -> Bool { false }

  package static func takesArchitecture(_ file: CheckpointFile) -> Bool { HDF5File.isOne(file.bytes) }

  package static func open(_ file: CheckpointFile, architecture: String?, stateDict: StateDictOptions) throws
    -> Checkpoint
  {
    let (stored, container) = try Failure.within(file.path) {
      isArchive(file) ? try readArchive(file) : try readHDF5(file, architecture: architecture)
    }
    let content = try Failure.within(file.path) { try KerasGraph(stored, in: container) }
    return Checkpoint(
      path: file.path, sha256: SHA256.hexadecimal(of: file.bytes), byteCount: file.bytes.count,
      notices: notices(stored, content.file, container), content: content)
  }

  private static func isArchive(_ file: CheckpointFile) -> Bool {
    file.begins(Array("PK".utf8)) && KerasArchive.isOne(file.bytes)
  }

  private static func readArchive(_ file: CheckpointFile) throws -> (KerasFile, KerasContainer) {
    let (archive, stored) = try KerasArchive.read(file.bytes)
    return (stored, .archive(archive))
  }

  /// Weights that say nothing about their network take the architecture that lies beside them under their own name, as apply puts
  /// it there.
  private static func readHDF5(
    _ file: CheckpointFile, architecture: String?
  ) throws -> (KerasFile, KerasContainer) {
    let root = try HDF5File.read(file.path, skipping: KerasFile.skipped)
    var architecture = try architecture.map(readArchitecture)
    let isNamedWeights = file.path.hasSuffix(weightsSuffix)
    guard KerasVariables.isLayout(of: root) else {
      let stored = try KerasFile(root, architecture: architecture)
      guard stored.modelConfig == nil, isNamedWeights || stored.record != nil,
        let beside = try architectureBeside(file.path)
      else { return (stored, .hdf5) }
      return (try KerasFile(root, architecture: beside), .hdf5)
    }
    if architecture == nil, isNamedWeights { architecture = try architectureBeside(file.path) }
    var stored = KerasFile(
      modelConfig: architecture.map { KerasFile.withoutAdapters($0, keepingQuantized: false) },
      kerasVersion: architecture?["keras_version"]?.string ?? "3", backend: nil, layers: [], topLevelWeights: nil,
      isWeightsOnly: true, hasOptimizerState: root.groups[KerasVariables.optimizer] != nil,
      record: try root.json(KerasFile.recordAttribute))
    let variables = try stored.takeVariables(root.tidied())
    return (stored, .variables(variables))
  }

  /// The path of the architecture that belongs to weights without one.
  static func architecturePath(besides path: String) -> String {
    CheckpointPath(path, longSuffixes: longSuffixes).architecture
  }

  private static func architectureBeside(_ path: String) throws -> JSON? {
    let beside = architecturePath(besides: path)
    // `nil` in a conditional expression would be JSON's own null.
    guard FileManager.default.fileExists(atPath: beside) else { return nil }
    return try readArchitecture(beside)
  }

  private static func readArchitecture(_ path: String) throws -> JSON {
    let bytes = try InputFile.read(path)
    return try Failure.within(path) {
      let json = try JSON(parsing: bytes)
      _ = try KerasModel(json)
      return json
    }
  }

  private static func notices(_ stored: KerasFile, _ file: KerasFile, _ container: KerasContainer) -> [String] {
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
    if file.modelConfig == nil, file.ownClass == nil {
      notices.append(
        "the file holds weights only, and its layers stay as they are: --architecture model.json, which is what model.to_json() returns, lets them be compressed"
      )
    }
    if container.variables?.isOutdated == true {
      notices.append(
        "the weights lie as TensorFlow 2.12 to 2.14 have them, which no later version reads; they are written as TensorFlow 2.15 and Keras 3 have them"
      )
    }
    if file.isWeightsOnly, file.modelConfig != nil {
      notices.append("the file holds weights only: the architecture is written beside them, as a .json file")
    }
    return notices
  }
}

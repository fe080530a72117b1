import Basics
import Foundation
import HDF5
import KerasLayers
import TensorCore
import ZIP

/// A `.keras` archive of Keras 3: configuration and weights in a ZIP file.
struct KerasArchive: Sendable {
  /// The members that are not rewritten: assets and the like.
  private let others: [Member]
  /// `metadata.json` as it is.
  private let metadata: [UInt8]
  let variables: KerasVariables

  private struct Member: Sendable {
    let name: String
    let contents: [UInt8]
  }

  private static let metadataName = "metadata.json"
  private static let configName = "config.json"
  private static let weightsName = "model.weights.h5"
  private static let recordName = "kcompress.json"

  /// Whether a file is an archive with the weights of a model in it.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    (try? ZipArchive(bytes))?.members.contains { $0.name == weightsName } ?? false
  }

  /// - Returns: the archive and its content as a Keras file.
  /// - Throws: `Failure` where a member is missing or damaged, or layers and weights do not fit.
  static func read(_ bytes: [UInt8]) throws -> (archive: KerasArchive, file: KerasFile) {
    let zip = try ZipArchive(bytes)
    func contents(_ name: String) throws -> [UInt8] {
      guard let member = zip.members.first(where: { $0.name == name }) else {
        throw Failure("", "cannot be read", "the archive has no member '\(name)'", remedy: "save the model again")
      }
      return try zip.contents(of: member)
    }
    func json(_ name: String) throws -> JSON {
      do { return try JSON(parsing: try contents(name)) } catch let failure as Failure {
        throw failure.subject.isEmpty ? failure.within("member '\(name)'") : failure
      }
    }
    let metadata = try contents(metadataName)
    // What lies in an archive has LoRA's matrices in its kernels already.
    let config = KerasFile.withoutAdapters(try json(configName), keepingQuantized: false)
    let root = try withTemporaryFile(try contents(weightsName)) {
      try HDF5File.read($0, skipping: KerasFile.skipped).tidied()
    }
    var file = KerasFile(
      modelConfig: config, kerasVersion: try json(metadataName)["keras_version"]?.string ?? "3", backend: nil,
      layers: [], topLevelWeights: nil, isWeightsOnly: false,
      hasOptimizerState: config["compile_config"]?.object.map { $0.count > 0 } ?? false,
      record: try zip.members.first { $0.name == recordName }.map { try json($0.name) })
    var kept: [Member] = []
    if let className = KerasModel.ownClass(of: config) {
      kept = [Member(name: configName, contents: Array((file.architectureText ?? "").utf8))]
      (file.modelConfig, file.ownClass) = (nil, className)
    }
    let variables = try file.takeVariables(root)
    let rewritten = [metadataName, configName, weightsName, recordName]
    let others = try zip.members.filter { !rewritten.contains($0.name) && !$0.name.hasSuffix("/") }
      .map { Member(name: $0.name, contents: try zip.contents(of: $0)) }
    return (KerasArchive(others: kept + others, metadata: metadata, variables: variables), file)
  }

  func fileBytes(_ file: KerasFile) throws -> [UInt8] {
    let weights = try variables.hdf5(of: file)
    let data = try Self.withTemporaryFile(nil) { path in
      try HDF5File.write(weights, to: path)
      return try InputFile.read(path)
    }
    return try ZipArchive.fileBytes(
      texts(of: file) + [(Self.weightsName, data)] + others.map { ($0.name, $0.contents) })
  }

  /// The bytes of the archive with these members, of which each has so many bytes.
  ///
  /// - Parameters:
  ///   - config: nil where there is none.
  ///   - weights: of the HDF5 file.
  func byteCount(config: Int?, record: Int?, weights: Int) -> Int {
    let texts = [(Self.metadataName, metadata.count)]
    let optional = [(Self.configName, config), (Self.recordName, record)].compactMap { name, count in
      count.map { (name, $0) }
    }
    return ZipArchive.byteCount(
      texts + optional + [(Self.weightsName, weights)] + others.map { ($0.name, $0.contents.count) })
  }

  private func texts(of file: KerasFile) -> [(name: String, contents: [UInt8])] {
    var texts = [(name: Self.metadataName, contents: metadata)]
    if let text = file.architectureText { texts.append((Self.configName, Array(text.utf8))) }
    if let record = file.record { texts.append((Self.recordName, Array(record.text().utf8))) }
    return texts
  }

  /// A file for libhdf5, which reads and writes paths only.
  private static func withTemporaryFile<Result>(_ bytes: [UInt8]?, _ body: (String) throws -> Result) throws -> Result {
    try TemporaryFolder.with { folder in
      let path = (folder as NSString).appendingPathComponent(weightsName)
      if let bytes { try OutputFile.create(path, describedAs: path, Data(bytes)) }
      do {
        return try body(path)
      } catch let failure as Failure where failure.subject == path {
        throw Failure("member '\(weightsName)'", failure.problem, failure.reason, remedy: failure.remedy)
      }
    }
  }
}

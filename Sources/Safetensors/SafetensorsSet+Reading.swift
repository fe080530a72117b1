import Basics
import Checkpoints
import Foundation
import Hashing
import TensorCore

extension SafetensorsSet.Shard {
  /// Parses one safetensors file.
  ///
  /// - Throws: `Failure` about the header or a tensor; the caller adds the path.
  init(fileName: String, parsing file: [UInt8]) throws {
    let header = try SafetensorsHeader(parsing: file)
    self.init(
      fileName: fileName, metadata: header.metadata,
      tensors: header.entries.map { entry in
        let begin = header.dataOffset + entry.range.lowerBound
        return StoredTensor(
          name: entry.name, dtype: entry.dtype, shape: entry.shape,
          bytes: Array(file[begin..<begin + entry.range.count]))
      })
  }
}

extension SafetensorsSet {
  package static let indexSuffix = ".safetensors.index.json"

  /// Whether a file is an index that names other files, whatever it is called; with what their names end in.
  package static func isIndex(_ file: CheckpointFile, of suffixes: [String]) -> Bool {
    guard file.path.hasSuffix(".json"), let index = try? SafetensorsIndex(parsing: file.bytes) else { return false }
    return index.fileNames.allSatisfy { name in suffixes.contains { name.hasSuffix($0) } }
  }

  /// A set with an index, as the files give it.
  package struct Sharded: Sendable {
    package let shards: [Shard]
    package let notices: [String]
  }

  /// Makes a set of what files hold: the part that the user means, with plain weights in the place of normalised ones.
  ///
  /// - Returns: The set, and what the user should know about it.
  /// - Throws: `Failure` for the caller to add the path.
  package static func reading(
    _ shards: [Shard], isSharded: Bool, of path: String, _ format: any CheckpointFormat.Type, name: String,
    options: StateDictOptions
  ) throws -> (set: SafetensorsSet, notices: [String]) {
    guard !shards.contains(where: { $0.metadata[recordKey] != nil }) else {
      let source = Source(format, name: name)
      return (try SafetensorsSet(shards: shards, isSharded: isSharded, source: source), [])
    }
    let selection = try StateDictSelection(shards.flatMap { $0.tensors.map(\.name) }, prefix: options.prefix)
    var notices = selection.notices
    var count = 0
    let selected = try shards.map { shard in
      let shard = shard.selecting(selection)
      let plain = try NormalizedWeights.plain(shard.tensors)
      count += plain.count
      return Shard(fileName: shard.fileName, metadata: shard.metadata, tensors: plain.tensors)
    }
    if count > 0 {
      notices.append(
        "\(count) normalised weights (weight_norm, spectral_norm) are read as the plain weights that they are")
    }
    var options = options
    var modules: StateDictModules?
    if let given = options.modules ?? modulesBeside(path, format) {
      modules = try StateDictModules(path: given).matched(with: selected.flatMap(\.tensors), of: path)
      options.modules = given
    }
    let source = Source(format, name: name, options: options, modules: modules)
    return (try SafetensorsSet(shards: selected, isSharded: isSharded, source: source), notices)
  }

  /// Opens a set by its index.
  ///
  /// - Parameter parse: Makes a shard of a file's name and bytes.
  /// - Throws: `Failure` where the index or a shard is damaged, or the set cannot be read as the user says.
  package static func opening(
    index file: CheckpointFile, _ format: any CheckpointFormat.Type, name: String, options: StateDictOptions,
    parse: (String, [UInt8]) throws -> Shard
  ) throws -> Checkpoint {
    var hash = SHA256()
    hash.update(file.bytes)
    var byteCount = file.bytes.count
    let sharded = try read(indexPath: file.path, parsing: file.bytes, shard: parse) { shard in
      hash.update(shard)
      byteCount += shard.count
    }
    let (set, notices) = try Failure.within(file.path) {
      try reading(sharded.shards, isSharded: true, of: file.path, format, name: name, options: options)
    }
    return Checkpoint(
      path: file.path, sha256: hash.hexadecimal(), byteCount: byteCount, notices: sharded.notices + notices,
      content: set)
  }

  private static func modulesBeside(_ path: String, _ format: any CheckpointFormat.Type) -> String? {
    let beside = format.path(path).modules
    return FileManager.default.fileExists(atPath: beside) ? beside : nil
  }

  /// Parses one file as a set of its own.
  ///
  /// - Throws: `Failure` that names the file.
  init(path: String, parsing file: [UInt8]) throws {
    do {
      let shard = try Shard(fileName: (path as NSString).lastPathComponent, parsing: file)
      try self.init(shards: [shard], isSharded: false)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// Reads the shards that an index names, from the index's folder.
  ///
  /// - Parameters:
  ///   - parse: makes a shard of a file's name and bytes.
  ///   - visit: is given the bytes of every shard, in order.
  /// - Throws: `Failure` for a broken index or shard, and when a tensor is not exactly where the index says.
  package static func read(
    indexPath: String, parsing index: [UInt8], shard parse: (String, [UInt8]) throws -> Shard,
    visit: ([UInt8]) -> Void
  ) throws -> Sharded {
    do {
      let index = try SafetensorsIndex(parsing: index)
      let folder = indexPath.folderPath
      let shards = try index.fileNames.map { fileName in
        let path = (folder as NSString).appendingPathComponent(fileName)
        let file = try InputFile.read(path)
        visit(file)
        do {
          let shard = try parse(fileName, file)
          try index.check(shard)
          return shard
        } catch let failure as Failure {
          throw failure.within(path)
        }
      }
      let total = shards.flatMap(\.tensors).reduce(0) { $0 + $1.bytes.count }
      var notices: [String] = []
      if let claimed = index.totalSize, claimed != total {
        notices.append(
          "the index states a total_size of \(claimed) bytes, and the tensors have \(total) bytes")
      }
      return Sharded(shards: shards, notices: notices)
    } catch let failure as Failure {
      throw failure.subject.isEmpty || failure.subject == "index"
        ? failure.within(indexPath) : failure
    }
  }
}

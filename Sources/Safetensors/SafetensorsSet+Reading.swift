import Basics
import Foundation
import TensorCore

extension SafetensorsSet.Shard {
  /// Parses one file.
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
  static let indexSuffix = ".safetensors.index.json"

  /// A set with an index, as the files give it.
  struct Sharded {
    let set: SafetensorsSet
    let notices: [String]
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
  /// - Parameter visit: is given the bytes of every shard, in order.
  /// - Throws: `Failure` for a broken index or shard, and when a tensor is not exactly where the index says.
  static func read(
    indexPath: String, parsing index: [UInt8], visit: ([UInt8]) -> Void
  ) throws -> Sharded {
    do {
      let index = try SafetensorsIndex(parsing: index)
      let folder = indexPath.folderPath
      let shards = try index.fileNames.map { fileName in
        let path = (folder as NSString).appendingPathComponent(fileName)
        let file = try InputFile.read(path)
        visit(file)
        do {
          let shard = try Shard(fileName: fileName, parsing: file)
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
      let set = try Failure.within(indexPath) { try SafetensorsSet(shards: shards, isSharded: true) }
      return Sharded(set: set, notices: notices)
    } catch let failure as Failure {
      throw failure.subject.isEmpty || failure.subject == "index"
        ? failure.within(indexPath) : failure
    }
  }
}

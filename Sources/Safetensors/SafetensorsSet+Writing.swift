import Basics
import Foundation
import TensorCore

extension SafetensorsSet.Shard {
  /// The whole file. The same shard gives the same bytes.
  func fileBytes() -> [UInt8] {
    let ordered = tensors.sorted(by: SafetensorsLayout.precedes)
    var parts: [String] = []
    if let text = SafetensorsLayout.metadataText(metadata) { parts.append(text) }
    var end = 0
    for tensor in ordered {
      let range = end..<end + tensor.bytes.count
      end = range.upperBound
      parts.append(
        SafetensorsLayout.entryStart(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape)
          + SafetensorsLayout.entryEnd(range))
    }
    let header = Array("{\(parts.joined(separator: ","))}".utf8)
    let length = SafetensorsLayout.padded(header.count)
    var file: [UInt8] = []
    file.reserveCapacity(8 + length + end)
    file.appendLittleEndian(UInt64(length))
    file += header
    file += Array(repeating: UInt8(ascii: " "), count: length - header.count)
    for tensor in ordered { file += tensor.bytes }
    return file
  }
}

extension SafetensorsSet {
  /// Writes the file, or the shards and their index. Shards are named after the index: `b.safetensors.index.json` has
  /// `b-00001-of-00002.safetensors` beside it. The index takes its place last, so that a set is there as a whole or not at all.
  ///
  /// - Throws: `Failure` when a target exists and may not be replaced, or cannot be written.
  func write(to path: String, overwrite: Bool) throws {
    guard isSharded else {
      return try OutputFile.write(shards[0].fileBytes(), to: path, overwrite: overwrite)
    }
    let fileNames = try Self.shardNames(indexPath: path, count: shards.count)
    let folder = path.folderPath as NSString
    let paths = fileNames.map { folder.appendingPathComponent($0) } + [path]
    try OutputFile.replaceSet(paths, overwrite: overwrite) { temporaries in
      for (index, shard) in shards.enumerated() {
        try OutputFile.create(
          temporaries[index], describedAs: paths[index], Data(shard.fileBytes()))
      }
      try OutputFile.create(
        temporaries[shards.count], describedAs: path, Data(indexText(fileNames).utf8))
    }
  }

  /// The names of the shards beside an index.
  ///
  /// - Throws: `Failure` when the index is not named as one.
  static func shardNames(indexPath: String, count: Int) throws -> [String] {
    let name = (indexPath as NSString).lastPathComponent
    guard name.hasSuffix(indexSuffix), name != indexSuffix else {
      throw Failure(
        indexPath, "cannot be written",
        "the checkpoint is sharded and its index is named otherwise",
        remedy: "let the name end in '\(indexSuffix)'")
    }
    let base = name.dropLast(indexSuffix.count)
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return (1...count).map { "\(base)-\(padded($0))-of-\(padded(count)).safetensors" }
  }

  /// The index as Hugging Face lays it out: the total of all tensors' bytes, then the tensors by name.
  private func indexText(_ fileNames: [String]) -> String {
    let total = shards.flatMap(\.tensors).reduce(0) { $0 + $1.bytes.count }
    let places = zip(shards, fileNames).flatMap { shard, fileName in
      shard.tensors.map { ($0.name, JSON.string(fileName)) }
    }
    return SafetensorsIndex.text(
      totalSize: total, weightMap: JSONObject(places.sorted { $0.0 < $1.0 }))
  }
}

extension SafetensorsIndex {
  static func text(totalSize: Int, weightMap: JSONObject) -> String {
    let document: JSON = [
      "metadata": ["total_size": .integer(totalSize)], "weight_map": .object(weightMap),
    ]
    return document.text(.indented) + "\n"
  }
}

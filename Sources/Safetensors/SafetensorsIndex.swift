import Basics
import TensorCore

/// `*.safetensors.index.json`: which shard holds which tensor.
struct SafetensorsIndex {
  /// File name by tensor name.
  let weightMap: [String: String]
  /// The files in the order of their first mention.
  let fileNames: [String]
  /// The bytes of all tensors as the index states them. Written by tools that count tied tensors in several ways, so
  /// that a wrong number is no defect of the tensors.
  let totalSize: Int?

  /// - Throws: `Failure` with the subject `index`, for the caller to add the path.
  init(parsing bytes: [UInt8]) throws {
    func failure(_ reason: String, _ remedy: String? = nil) -> Failure {
      Failure("index", "is invalid", reason, remedy: remedy)
    }
    let document: JSON
    do {
      document = try JSON(parsing: bytes)
    } catch let failure as Failure {
      throw failure.within("index")
    }
    guard let pairs = document["weight_map"]?.object?.pairs else {
      throw failure("it has no object 'weight_map'")
    }
    var weightMap: [String: String] = [:]
    var fileNames: [String] = []
    var known: Set<String> = []
    for (name, value) in pairs {
      guard let fileName = value.string else { throw failure("the file of '\(name)' is no string") }
      guard Self.isPlain(fileName) else {
        throw failure(
          "the file name '\(fileName)' leads out of the index's folder",
          "shards lie beside their index")
      }
      weightMap[name] = fileName
      if known.insert(fileName).inserted { fileNames.append(fileName) }
    }
    guard !fileNames.isEmpty else { throw failure("its 'weight_map' is empty") }
    guard fileNames.count <= Self.maximumShardCount else {
      throw failure("it names \(fileNames.count) files", "at most \(Self.maximumShardCount)")
    }
    self.weightMap = weightMap
    self.fileNames = fileNames
    guard let total = document["metadata"]?["total_size"] else {
      totalSize = nil
      return
    }
    guard let count = total.integer, count >= 0 else {
      throw failure("its 'total_size' is no whole number of bytes")
    }
    totalSize = count
  }

  /// What five digits count in `-00001-of-00002`.
  static let maximumShardCount = 99_999

  private static func isPlain(_ fileName: String) -> Bool {
    !fileName.isEmpty && fileName != "." && !fileName.contains("..")
      && !fileName.unicodeScalars.contains { $0 == "/" || $0 == "\\" || $0 == "\0" }
  }

  /// Proves that a shard holds exactly the tensors that the index places in it.
  func check(_ shard: SafetensorsSet.Shard) throws {
    for tensor in shard.tensors where weightMap[tensor.name] != shard.fileName {
      throw Failure(
        "tensor '\(tensor.name)'", "contradicts the index",
        weightMap[tensor.name].map { "the index places it in '\($0)'" }
          ?? "the index does not list it")
    }
    // A tensor that is stored once and known by several names is held under each.
    let held = Set(shard.tensors.map(\.name)).union(shard.metadata.keys)
    let listed = weightMap.filter { $0.value == shard.fileName }.keys
    if let missing = listed.filter({ !held.contains($0) }).min() {
      throw Failure(
        "tensor '\(missing)'", "is missing", "the index places it in '\(shard.fileName)'")
    }
  }
}

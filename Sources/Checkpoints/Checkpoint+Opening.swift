import Basics
import Crypto
import Foundation

extension Checkpoint {
  /// Reads a checkpoint. The format follows from the content; only a sharded set is known by the name of its index,
  /// `*.safetensors.index.json`.
  ///
  /// - Parameter architecture: the file with the architecture of Keras weights that come without one, `model.to_json()`.
  /// - Throws: `Failure` for a file that is damaged, or of a kind that cannot be read here.
  public static func open(_ path: String, architecture: String? = nil) throws -> Checkpoint {
    let bytes = try InputFile.read(path)
    guard !bytes.isEmpty else {
      throw Failure(path, "cannot be read", "it is empty", remedy: "fetch or make the file again")
    }
    let signature = FileSignature(bytes)
    if architecture != nil, signature != .hdf5 { throw KerasFile.hasArchitecture.within(path) }
    if path.hasSuffix(".index.json") { return try openSharded(path: path, index: bytes) }
    switch signature {
    case .hdf5:
      return try openKeras(
        path: path, byteCount: bytes.count, sha256: hexadecimalSHA256(of: bytes),
        architecture: try architecture.map(readJSON))
    case .safetensors: return try openSafetensors(path: path, bytes: bytes)
    case .onnx: return try openONNX(path: path, bytes: bytes)
    case .kerasArchive: return try openKerasArchive(path: path, bytes: bytes)
    case .unsupported(let kind, let remedy):
      throw Failure(path, "cannot be read", "it is \(kind)", remedy: remedy)
    case .unknown where path.hasSuffix(".safetensors"):
      // The strict reader says what is wrong with it.
      return try openSafetensors(path: path, bytes: bytes)
    case .unknown where path.hasSuffix(".onnx"): return try openONNX(path: path, bytes: bytes)
    case .unknown:
      throw Failure(
        path, "cannot be read", "its content is that of no known checkpoint",
        remedy: "expected a Keras .keras or .h5 file, an .onnx file, a .safetensors file or a .safetensors.index.json")
    }
  }

  private static func readJSON(_ path: String) throws -> JSON {
    let bytes = try InputFile.read(path)
    do {
      let json = try JSON(parsing: bytes)
      _ = try KerasModel(json)
      return json
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  private static func openSafetensors(path: String, bytes: [UInt8]) throws -> Checkpoint {
    let set = try SafetensorsSet(path: path, parsing: bytes)
    return try Checkpoint(
      path: path, set: set, sha256: hexadecimalSHA256(of: bytes), byteCount: bytes.count,
      notices: [])
  }

  private static func openSharded(path: String, index: [UInt8]) throws -> Checkpoint {
    var hash = SHA256()
    hash.update(data: index)
    var byteCount = index.count
    let sharded = try SafetensorsSet.read(indexPath: path, parsing: index) { shard in
      hash.update(data: shard)
      byteCount += shard.count
    }
    return try Checkpoint(
      path: path, set: sharded.set, sha256: hexadecimal(hash.finalize()), byteCount: byteCount,
      notices: sharded.notices)
  }

  init(
    path: String, set: SafetensorsSet, sha256: String, byteCount: Int, notices: [String]
  ) throws {
    do {
      self.init(
        path: path, format: .safetensors, formatVersion: nil, sha256: sha256,
        byteCount: byteCount, tensors: set.shards.flatMap(\.tensors), layers: set.layers,
        graph: nil, graphAbsence: "a safetensors file holds tensors only, and no graph",
        notices: notices, record: try set.record(), content: .safetensors(set))
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// In lower case.
  public static func hexadecimalSHA256(of bytes: [UInt8]) -> String {
    hexadecimal(SHA256.hash(data: bytes))
  }

  static func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }
}

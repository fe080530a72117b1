import Basics
import TensorCore
import ZIP

/// A file of `torch.save` since version 1.6: a ZIP archive with the pickle `NAME/data.pkl` and the storages `NAME/data/0`, `NAME/data/1`, ...
struct TorchArchive {
  private let archive: ZipArchive
  private let members: [String: ZipArchive.Member]
  /// What the names of all members begin with.
  private let folder: String

  /// Takes an archive as one of `torch.save`; nil where it is none.
  init?(_ archive: ZipArchive) {
    guard let pickle = archive.members.first(where: { Self.isPickle($0.name) }) else { return nil }
    self.archive = archive
    folder = String(pickle.name.dropLast("data.pkl".count))
    members = Dictionary(archive.members.map { ($0.name, $0) }) { first, _ in first }
  }

  private static func isPickle(_ name: String) -> Bool {
    name == "data.pkl" || name.hasSuffix("/data.pkl") && name.count { $0 == "/" } == 1
  }

  /// Whether it is a program that `torch.jit.save` or `torch.export.save` wrote.
  var isProgram: Bool {
    members["\(folder)constants.pkl"] != nil || members.keys.contains { $0.hasPrefix("\(folder)code/") }
  }

  /// The pickle.
  ///
  /// - Throws: `Failure` where the archive is damaged.
  func pickle() throws -> ArraySlice<UInt8> { try contents("data.pkl") }

  /// Whether the storages come from a machine whose words lie the other way round.
  ///
  /// - Throws: `Failure` where the file says something else than `little` or `big`.
  func isBigEndian() throws -> Bool {
    guard members["\(folder)byteorder"] != nil else { return false }
    switch String(decoding: try contents("byteorder"), as: UTF8.self) {
    case "little": return false
    case "big": return true
    case let order:
      throw Failure(
        "member '\(folder)byteorder'", "is damaged", "it says '\(order.prefix(20))'", remedy: "expected little or big")
    }
  }

  /// The bytes of a storage.
  ///
  /// - Throws: `Failure` where it is missing or damaged.
  func storage(_ key: String) throws -> ArraySlice<UInt8> { try contents("data/\(key)") }

  /// PyTorch writes 0 where it was told not to compute sums.
  private func contents(_ name: String) throws -> ArraySlice<UInt8> {
    guard let member = members[folder + name] else {
      throw Failure("member '\(folder)\(name)'", "is missing", "the pickle refers to it")
    }
    return try archive.slice(of: member, zeroIsNoSum: true)
  }
}

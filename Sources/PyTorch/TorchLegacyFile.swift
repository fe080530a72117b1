import Basics
import TensorCore

/// A file of `torch.save` before version 1.6: five pickles (a magic number, the protocol, facts about the machine, the object, the storages' names),
/// then each storage, its count of elements in eight bytes before its elements. They are little-endian, whatever machine wrote them.
struct TorchLegacyFile {
  private(set) var value: PickleValue
  private(set) var heap: PickleHeap
  private var storages: [String: ArraySlice<UInt8>] = [:]

  private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
  private static let magicText = Array("119547037146038801333356".utf8)

  /// Whether a file begins with the magic number, in the form of any protocol.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    let beginning = bytes.prefix(40)
    return [magic, magicText].contains { magic in
      beginning.indices.contains { beginning[$0...].starts(with: magic) }
    }
  }

  /// Reads a file.
  ///
  /// - Throws: `Failure` about the pickle or a storage, for the caller to add the path.
  init(_ bytes: [UInt8]) throws {
    var offset = 0
    func next() throws -> (PickleValue, PickleHeap) {
      var machine = PickleMachine(bytes[...], at: offset)
      let value = try machine.run()
      offset = machine.end
      return (value, machine.heap)
    }
    _ = try next()
    guard case (.integer(1001), _) = try next() else {
      throw Failure("its protocol", "is unknown", "it is not 1001, that of torch.save")
    }
    _ = try next()
    (value, heap) = try next()
    let (names, list) = try next()
    guard let keys = list.items(of: names) else { throw PickleReader.damaged("the names of its storages are no list") }
    let described = Dictionary(heap.storages.map { ($0.key, $0) }) { first, _ in first }
    for key in keys {
      let name: String
      switch key {
      case .text(let text): name = text
      case .integer(let number): name = String(number)
      case .none, .bool, .real, .bytes, .unread, .global, .sequence, .dictionary, .object, .storage, .tensor:
        throw PickleReader.damaged("the name of a storage is no text")
      }
      guard let storage = described[name] else { throw PickleReader.damaged("it lists a storage that nothing uses") }
      guard bytes.count - offset >= 8 else { throw Self.isTruncated(name) }
      let count = bytes.littleEndian(UInt64.self, at: offset)
      offset += 8
      let width = UInt64(storage.type?.byteCount ?? 1)
      guard count <= UInt64(bytes.count - offset) / width else { throw Self.isTruncated(name) }
      let end = offset + Int(count * width)
      storages[name] = bytes[offset..<end]
      offset = end
    }
  }

  /// The bytes of a storage.
  ///
  /// - Throws: `Failure` where it is missing.
  func storage(_ key: String) throws -> ArraySlice<UInt8> {
    guard let bytes = storages[key] else {
      throw Failure("storage '\(key)'", "is missing", "the pickle refers to it")
    }
    return bytes
  }

  private static func isTruncated(_ name: String) -> Failure {
    Failure("storage '\(name)'", "is truncated", "the file ends before it does")
  }
}

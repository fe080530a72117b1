import TensorCore
import ZIP

/// Pickles of protocol 2 as PyTorch writes them, put together opcode by opcode, and files around them.
struct PickleBuilder {
  private(set) var bytes: [UInt8] = [0x80, 2]

  mutating func text(_ text: String) {
    bytes.append(UInt8(ascii: "X"))
    bytes.appendLittleEndian(UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  mutating func integer(_ value: Int) {
    if let small = Int32(exactly: value) {
      bytes.append(UInt8(ascii: "J"))
      bytes.appendLittleEndian(small)
    } else {
      bytes += [0x8A, 8]
      bytes.appendLittleEndian(Int64(value))
    }
  }

  mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }

  mutating func code(_ code: UInt8) { bytes.append(code) }

  mutating func codes(_ text: String) { bytes += Array(text.utf8) }

  mutating func integers(_ values: [Int]) {
    codes("(")
    for value in values { integer(value) }
    codes("t")
  }

  /// A tensor that is a view of a storage, as `_rebuild_tensor_v2` takes it.
  mutating func tensor(
    storage: String, _ type: String = "FloatStorage", count: Int, offset: Int = 0, _ shape: [Int], _ strides: [Int]
  ) {
    global("torch._utils", "_rebuild_tensor_v2")
    codes("((")
    text("storage")
    global("torch", type)
    text(storage)
    text("cpu")
    integer(count)
    codes("tQ")
    integer(offset)
    integers(shape)
    integers(strides)
    bytes.append(0x89)
    global("collections", "OrderedDict")
    codes(")RtR")
  }

  /// A dictionary whose entries `body` writes, each a key and a value.
  mutating func dictionary(_ body: (inout PickleBuilder) -> Void) {
    codes("}(")
    body(&self)
    codes("u")
  }

  static func of(_ body: (inout PickleBuilder) -> Void) -> [UInt8] {
    var builder = PickleBuilder()
    body(&builder)
    return builder.bytes + Array(".".utf8)
  }

  /// A ZIP archive of a pickle and storages.
  static func archive(_ pickle: [UInt8], _ storages: [String: [UInt8]], byteOrder: String? = nil) throws -> [UInt8] {
    var members = [(name: "m/data.pkl", contents: pickle)]
    if let byteOrder { members.append(("m/byteorder", Array(byteOrder.utf8))) }
    members += storages.sorted { $0.key < $1.key }.map { ("m/data/\($0.key)", $0.value) }
    return try ZipArchive.fileBytes(members)
  }

  /// A file of the older form.
  static func legacy(_ pickle: [UInt8], _ storages: [(name: String, count: Int, bytes: [UInt8])]) -> [UInt8] {
    let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
    var file = magic + of { $0.integer(1001) } + of { $0.codes("}") } + pickle
    file += of { builder in
      builder.codes("](")
      for storage in storages { builder.text(storage.name) }
      builder.codes("e")
    }
    for storage in storages {
      file.appendLittleEndian(UInt64(storage.count))
      file += storage.bytes
    }
    return file
  }
}

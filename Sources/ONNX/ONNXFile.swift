import Basics
import ONNXProto
import SwiftProtobuf

/// A model as the bytes of its file, which are made part by part: the data of its tensors are never there a second time.
///
/// A message's fields stand in the order of their numbers, and one of many bytes can so be put between the others.
struct ONNXFile {
  /// An initialiser and the bytes of its numbers.
  struct Initializer {
    /// Without numbers.
    let header: Onnx_TensorProto
    /// Nil for one that holds no numbers.
    let byteCount: Int?
    let bytes: () -> [UInt8]
  }

  private static let graphField = 7
  private static let initializerField = 5
  private static let rawDataField = 9

  /// The model without its initialisers.
  private let frame: Onnx_ModelProto
  private let initializers: [Initializer]

  /// - Throws: `Failure` where the file is too large for the format.
  init(_ frame: Onnx_ModelProto, _ initializers: [Initializer], byteCount: Int) throws {
    guard byteCount <= Int(Int32.max) else {
      throw Failure("", "cannot be written", "the model takes \(byteCount) bytes, and an ONNX file holds at most 2 GiB")
    }
    self.frame = frame
    self.initializers = initializers
  }

  /// Gives the bytes to a function, part by part.
  ///
  /// - Throws: What the function throws.
  func write(_ append: ([UInt8]) throws -> Void) throws {
    var outer = frame
    outer.clearGraph()
    let model = try Self.encoded(outer, before: Self.graphField)
    let graph = try Self.encoded(frame.graph, before: Self.initializerField)
    let headers = try initializers.map { try Self.encoded($0.header, before: Self.rawDataField) }
    let sizes = zip(headers, initializers).map { header, initializer in
      header.head.count + header.tail.count
        + (initializer.byteCount.map { ONNXParts.field(Self.rawDataField, $0) } ?? 0)
    }
    let graphSize = sizes.reduce(graph.head.count + graph.tail.count) {
      $0 + ONNXParts.field(Self.initializerField, $1)
    }
    try append(model.head)
    try append(Self.tag(Self.graphField, graphSize))
    try append(graph.head)
    for (index, initializer) in initializers.enumerated() {
      try append(Self.tag(Self.initializerField, sizes[index]))
      try append(headers[index].head)
      if let count = initializer.byteCount {
        try append(Self.tag(Self.rawDataField, count))
        try append(initializer.bytes())
      }
      try append(headers[index].tail)
    }
    try append(graph.tail)
    try append(model.tail)
  }

  /// The tag of a field of bytes and their count.
  private static func tag(_ number: Int, _ count: Int) -> [UInt8] {
    var bytes = [UInt8(number << 3 | 2)]
    var rest = count
    while rest > 0x7F {
      bytes.append(UInt8(rest & 0x7F | 0x80))
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  /// A message's bytes: the fields below a number, and the others.
  private static func encoded(_ message: some Message, before number: Int) throws -> (head: [UInt8], tail: [UInt8]) {
    let bytes: [UInt8] = try message.serializedBytes(options: ONNXEditor.reproducible)
    var place = 0
    func integer() -> Int {
      var (value, shift) = (0, 0)
      while true {
        let byte = Int(bytes[place])
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 || shift > 56 { return value }
      }
    }
    while place < bytes.count {
      let start = place
      let tag = integer()
      if tag >> 3 >= number { return (Array(bytes[..<start]), Array(bytes[start...])) }
      switch tag & 7 {
      case 0: while bytes[place] >= 0x80 { place += 1 }; place += 1
      case 1: place += 8
      case 2: place = { place + $0 }(integer())
      default: place += 4
      }
    }
    return (bytes, [])
  }
}

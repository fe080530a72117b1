import ONNXProto
import TensorCore

/// What every node and initialiser of a model takes in the file, and what the rest takes: so the size of a changed model follows
/// from what changes alone.
struct ONNXParts {
  /// The count of bytes of each node with its tag and length, in the model's order.
  let nodes: [Int]
  let initializers: [Int]
  /// The same of sparse initialisers, which `graphByteCount` counts.
  let sparse: [Int]
  /// The count of bytes of all parts together.
  let byteCount: Int
  /// The model without its graph and without what apply recorded.
  let modelByteCount: Int
  /// The graph without nodes and initialisers.
  let graphByteCount: Int
  /// What the graph states about a value of some name, as an input and elsewhere.
  private let inputs: [String: Int]
  private let valueInfos: [String: Int]

  static let inputField = 11
  static let valueInfoField = 13
  static let metadataField = 14
  private static let sparseField = 15

  /// - Parameters:
  ///   - model: without the data of the tensors.
  ///   - tensor: the tensor that an initialiser of some name stores, possibly under another name.
  init(_ model: Onnx_ModelProto, tensor: (String) -> StoredTensor?) throws {
    let graph = model.graph
    var outer = model
    var inner = graph
    outer.clearGraph()
    outer.metadataProps.removeAll { $0.key == ONNXModel.recordKey }
    inner.node = []
    inner.initializer = []
    modelByteCount = try outer.encodedCount
    graphByteCount = try inner.encodedCount
    inputs = try Self.sizes(of: graph.input, Self.inputField)
    valueInfos = try Self.sizes(of: graph.valueInfo, Self.valueInfoField)
    nodes = try graph.node.map { Self.field(1, try $0.encodedCount) }
    initializers = try graph.initializer.map { header in
      let data = tensor(header.name).map { Self.field(9, FourBits.storedCount($0, as: header)) } ?? 0
      return Self.field(5, try header.bare.encodedCount + data)
    }
    byteCount = nodes.reduce(0, +) + initializers.reduce(0, +)
    sparse = try graph.sparseInitializer.map { Self.field(Self.sparseField, try $0.encodedCount) }
  }

  /// What the graph's inputs of this name take; 0 where there is none.
  func inputByteCount(of name: String) -> Int { inputs[name] ?? 0 }

  /// What the graph states elsewhere about the value of this name; 0 where that is nothing.
  func valueInfoByteCount(of name: String) -> Int { valueInfos[name] ?? 0 }

  private static func sizes(of values: [Onnx_ValueInfoProto], _ number: Int) throws -> [String: Int] {
    Dictionary(try values.map { ($0.name, field(number, try $0.encodedCount)) }, uniquingKeysWith: +)
  }

  /// The bytes of a field of some length: its tag, its length, itself. All field numbers in question have a tag of one byte.
  static func field(_ number: Int, _ length: Int) -> Int {
    precondition(number < 16, "a tag of two bytes")
    var (lengthBytes, rest) = (1, length >> 7)
    while rest > 0 {
      lengthBytes += 1
      rest >>= 7
    }
    return 1 + lengthBytes + length
  }
}

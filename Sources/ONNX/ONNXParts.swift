import ONNXProto
import TensorCore

/// What every node and initialiser of a model takes in the file, and which of them hold a tensor: so the size of a changed model follows from
/// what changes alone.
struct ONNXParts {
  /// With tags and lengths, in the model's order.
  let nodes: [Int]
  let initializers: [Int]
  /// Of all together.
  let byteCount: Int
  private let nodesOf: [String: [Int]]
  private let initializersOf: [String: [Int]]

  /// - Parameters:
  ///   - graph: without the data of the tensors.
  ///   - tensor: the tensor whose value an initialiser of some name stores, possibly under another name.
  init(_ graph: Onnx_GraphProto, tensor: (String) -> StoredTensor?) throws {
    nodes = try graph.node.map { Self.field(1, try $0.encodedCount) }
    initializers = try graph.initializer.map { header in
      let data = tensor(header.name).map { Self.field(9, $0.bytes.count) } ?? 0
      return Self.field(5, try header.bare.encodedCount + data)
    }
    byteCount = nodes.reduce(0, +) + initializers.reduce(0, +)
    let holders = graph.node.indices.filter { ["Constant", "Cast"].contains(graph.node[$0].opType) }
    nodesOf = Dictionary(grouping: holders) { graph.node[$0].output.first ?? "" }
    initializersOf = Dictionary(grouping: graph.initializer.indices) { index in
      let name = graph.initializer[index].name
      return tensor(name)?.name ?? name
    }
  }

  /// The nodes that give a tensor's value: what holds it, or makes it from a narrower type.
  func nodes(of tensor: String) -> [Int] { nodesOf[tensor] ?? [] }

  func initializers(of tensor: String) -> [Int] { initializersOf[tensor] ?? [] }

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

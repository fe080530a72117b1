import Basics
import ONNXProto

extension ONNXModel {
  /// The nodes in an order in which they can run.
  ///
  /// - Parameter given: The names of the tensors that are read.
  static func sortedNodes(_ graph: Onnx_GraphProto, given: Set<String>) throws -> [Int] {
    let nodes = graph.node
    var makers: [String: Int] = [:]
    let held = Set(graph.initializer.map(\.name) + graph.sparseInitializer.map(\.values.name))
    for (index, node) in nodes.enumerated() {
      for output in node.output where !output.isEmpty {
        guard makers.updateValue(index, forKey: output) == nil,
          !held.contains(output)
        else { throw Failure("value '\(output)'", "cannot be read", "two nodes make it") }
      }
    }
    let given = given.union(graph.input.map(\.name)).union(held)
    var waiting = [Int](repeating: 0, count: nodes.count)
    var readers: [Int: [Int]] = [:]
    for (index, node) in nodes.enumerated() {
      for input in Set(node.input) where !input.isEmpty {
        if let maker = makers[input] {
          waiting[index] += 1
          readers[maker, default: []].append(index)
        } else if !given.contains(input) {
          throw Failure(
            "node '\(node.name.isEmpty ? node.output.first ?? node.opType : node.name)'", "cannot be read",
            "its input '\(input)' is neither an input, an initialiser nor made by a node")
        }
      }
    }
    var order: [Int] = []
    var ready = nodes.indices.filter { waiting[$0] == 0 }
    var position = 0
    while position < ready.count {
      let index = ready[position]
      position += 1
      order.append(index)
      for reader in readers[index] ?? [] {
        waiting[reader] -= 1
        if waiting[reader] == 0 { ready.append(reader) }
      }
    }
    guard order.count == nodes.count else {
      let stuck = nodes.indices.first { waiting[$0] > 0 }.map { nodes[$0].output.first ?? "" } ?? ""
      throw Failure("value '\(stuck)'", "cannot be read", "it depends on itself: the graph has a cycle")
    }
    // Models are sorted already; then their own order stays.
    let isSorted = nodes.enumerated().allSatisfy { index, node in
      node.input.allSatisfy { (makers[$0] ?? -1) < index }
    }
    return isSorted ? Array(nodes.indices) : order
  }
}

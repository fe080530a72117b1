import Basics
import ModelGraph
import ONNXProto

/// An ONNX model in the program's own terms: its layers with kernels and its graph.
struct ONNXGraph: Sendable {
  let model: ONNXModel
  let network: ModelGraph
  let layers: [Layer]
  /// The layers by their names.
  let layersByName: [String: Layer]
  /// For every layer the positions of its nodes in the model.
  let uses: [String: [Int]]
  /// The count of axes of every value for which it is known.
  let ranks: [String: Int]
  /// What apply recorded, nil in an uncompressed model.
  let record: JSON?

  /// - Throws: `Failure` for a graph that is none: cycles, values that nobody makes; and for a record that is no JSON.
  init(_ model: ONNXModel) throws {
    self.model = model
    let builder = ONNXGraphBuilder(model)
    let kernels = try ONNXKernels(model)
    for index in try model.sortedNodes() {
      let node = ONNXNode(proto: model.proto.graph.node[index], opset: model.opset, model: model)
      builder.add(node, layer: kernels.layer(ofNode: index))
    }
    let built = try builder.graph()
    let shapes = try built.shapes()
    network = built.mergingEqualRanks(shapes)
    ranks = shapes.mapValues(\.count)
    let nodes = built.kernelNodes
    layers = kernels.layers.map { $0.with(inputExtents: $0.inputExtents(at: nodes[$0.name] ?? [], shapes)) }
    layersByName = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    uses = kernels.uses
    record = try model.record()
  }
}

extension ModelGraph {
  /// The graph with sums and the like of values with the same count of axes as merges, with which the engine joins what follows.
  /// Where the counts agree, both broadcast alike.
  fileprivate func mergingEqualRanks(_ shapes: [String: [Int?]]) -> ModelGraph {
    let constants = Set(nodes.filter(\.inputs.isEmpty).map(\.name))
    let merges: [Elementwise: Merge] = [
      .add: .add, .subtract: .subtract, .multiply: .multiply, .minimum: .minimum, .maximum: .maximum,
    ]
    return ModelGraph(
      inputs: inputs,
      nodes: nodes.map { node in
        guard case .array(.elementwise(let kind)) = node.operation, let merge = merges[kind], node.inputs.count == 2,
          constants.isDisjoint(with: node.inputs), let first = shapes[node.inputs[0]], first.count > 1,
          shapes[node.inputs[1]]?.count == first.count
        else { return node }
        return Node(name: node.name, layer: node.layer, operation: .merge(merge), inputs: node.inputs)
      }, outputs: outputs)
  }
}

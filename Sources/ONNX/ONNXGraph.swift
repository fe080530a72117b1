import Basics
import Checkpoints
import ModelGraph
import ONNXProto
import TensorCore

/// An ONNX model in the program's own terms: its layers with kernels and its graph.
struct ONNXGraph: Sendable {
  let model: ONNXModel
  let network: ModelGraph
  let layers: [Layer]
  /// The tensors of the file, and in place of those that only serve to compute one that the network reads, that one.
  let tensors: [StoredTensor]
  /// For every tensor that is computed, those of the file that it is computed from.
  let computedFrom: [String: [StoredTensor]]
  /// The grids of weights that apply has stored as integers, by the names of the values that the graph reads.
  let grids: [String: IntegerGrid]
  /// The layers by their names.
  let layersByName: [String: Layer]
  /// What the names of a layer's factors begin with, for every layer.
  let partNames: [String: String]
  /// For every layer the positions of its nodes in the model.
  let uses: [String: [Int]]
  /// The count of axes of every value for which it is known.
  let ranks: [String: Int]
  /// What apply recorded, nil in an uncompressed model.
  let record: JSON?

  /// - Throws: `Failure` for inputs whose shapes are none, and for a record that is no JSON.
  init(_ model: ONNXModel) throws {
    self.model = model
    let builder = ONNXGraphBuilder(model)
    let kernels = ONNXKernels(model)
    for index in model.order {
      let node = ONNXNode(proto: model.proto.graph.node[index], opset: model.opset, model: model)
      builder.add(node, use: kernels.use(ofNode: index))
    }
    let built = try builder.graph().markingMisfits { builder.type(of: $0) }
    let shapes = try built.shapes()
    network = built.mergingEqualRanks(shapes)
    ranks = shapes.mapValues(\.count)
    let nodes = built.kernelNodes
    layers = kernels.layers.map { layer in
      let extents = layer.inputExtents(at: nodes[layer.name] ?? [], shapes)
      // The layer has one window only.
      return layer.with(inputExtents: kernels.manyWindowed.contains(layer.name) ? extents.map { _ in nil } : extents)
    }
    layersByName = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    partNames = model.partNames(of: layers)
    uses = kernels.uses
    let read =
      network.nodes.flatMap(\.operation.references) + layers.map(\.kernel) + layers.compactMap(\.bias)
    let seen = model.tensors(reading: Set(read.map(\.name)))
    tensors = seen.tensors + model.bodyTensors()
    computedFrom = seen.computedFrom
    record = try model.record()
    grids = model.grids(record)
  }
}

extension ONNXModel {
  /// The name of the initialiser whose integers a value stands for; nil for a value of which that is not true.
  func integers(of name: String) -> String? {
    guard let maker = wiring.makers[name], var integers = proto.graph.node[maker].input.first else { return nil }
    switch proto.graph.node[maker].opType {
    case "DequantizeLinear": break
    case "Mul":
      guard let cast = wiring.makers[integers], proto.graph.node[cast].opType == "Cast",
        let source = proto.graph.node[cast].input.first, constant(named: source)?.type == .i8
      else { return nil }
      integers = source
    default: return nil
    }
    return wiring.initializers[integers] == nil ? nil : integers
  }

  /// The axis of the channels that have scales of their own, in a value that stands for integers.
  private func scaleAxis(_ maker: Onnx_NodeProto, rank: Int, scales: [Int]) -> Int {
    // Scales that are multiplied have an axis of 1 for each axis behind the channels'.
    if maker.opType == "Mul" { return rank - scales.count }
    return maker.attribute.first { $0.name == "axis" }.map { Int($0.i) } ?? 1
  }

  /// - Parameter record: of what apply did; other integers than its are none of a width that is known.
  fileprivate func grids(_ record: JSON?) -> [String: IntegerGrid] {
    guard let record, let layers = (try? Record(record))?.layers else { return [:] }
    var result: [String: IntegerGrid] = [:]
    for layer in layers {
      guard let width = layer.storage.width else { continue }
      for part in layer.parts {
        let name = part + ".weight"
        guard integers(of: name) != nil, let maker = wiring.makers[name], let shape = constant(named: name)?.shape,
          let scales = try? proto.graph.node[maker].input.dropFirst().first.flatMap(stored(named:))?.decoded(
            as: Float.self)
        else { continue }
        let axis = scaleAxis(proto.graph.node[maker], rank: shape.count, scales: scales.shape)
        guard shape.indices.contains(axis), shape[axis] == scales.count, scales.elements.allSatisfy({ $0 > 0 }) else {
          continue
        }
        result[name] = IntegerGrid(width: width, scales: scales.elements, axis: axis)
      }
    }
    return result
  }

  /// The tensors as the network sees them, and those of the file that each computed one of them is made of.
  fileprivate func tensors(
    reading names: Set<String>
  ) -> (tensors: [StoredTensor], computedFrom: [String: [StoredTensor]]) {
    let computed = names.subtracting(stored.map(\.name)).sorted {
      (wiring.makers[$0] ?? 0, $0) < (wiring.makers[$1] ?? 0, $1)
    }
    let sources = Dictionary(uniqueKeysWithValues: computed.map { ($0, self.sources(of: $0)) })
    // What nodes read that compute more than constants, or an output shows, stays a tensor of its own.
    let folded = proto.graph.node.filter { $0.output.contains { $0.isEmpty == false && constant(named: $0) != nil } }
    let readers = folded.flatMap(\.input).reduce(into: [:]) { $0[$1, default: 0] += 1 }
    let hidden = sources.values.reduce(into: Set<String>()) { $0.formUnion($1) }.filter { name in
      !names.contains(name) && readers[name] == wiring.readers[name]
    }
    return (
      stored.filter { !hidden.contains($0.name) }
        + computed.compactMap { holder(of: TensorReference($0))?.renamed($0) },
      sources.mapValues { $0.sorted().compactMap(stored(named:)) }
    )
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

import Basics
import ModelGraph

/// Turns a model of the configuration into nodes, nested models expanded at every use.
package struct KerasGraphBuilder {
  /// A layer of the configuration with its weights.
  private let layer: (KerasEntry) -> KerasLayer
  private var inputs: [ModelGraph.Input] = []
  private var nodes: [Node] = []
  private var names: Set<String> = []
  private var shapes = GrowingShapes()
  private var masks: [String: String] = [:]

  /// - Parameter layer: Gives a layer of the configuration its weights.
  package init(layer: @escaping (KerasEntry) -> KerasLayer) { self.layer = layer }

  /// The graph that computes a model.
  ///
  /// - Throws: `Failure` where the model does not say what its input is, or its wiring makes no sense.
  package func graph(of model: KerasModel) throws -> ModelGraph {
    var builder = self
    let values = try builder.addInputs(of: model)
    let results = try builder.expand(model, values)
    let labels = model.isSequential ? model.layers.suffix(1).map(\.name) : Self.labels(model.outputs)
    var taken: Set<String> = []
    let outputs = zip(labels, results).map { label, value in
      var name = label
      while !taken.insert(name).inserted { name += "_1" }
      return ModelGraph.Output(name: name, value: value)
    }
    return ModelGraph(inputs: builder.inputs, nodes: builder.nodes, outputs: outputs)
  }

  /// What the parts of a model's inputs or outputs go by: their keys where the author gave keys, else their layers.
  private static func labels(_ tensors: KerasStructure<KerasTensor>) -> [String] {
    tensors.hasKeys ? tensors.paths : tensors.leaves.map(\.layer)
  }

  /// A name that no value has yet; the second use of a layer is `name:1`.
  private mutating func unique(_ name: String, separator: String = ":") -> String {
    var candidate = name
    var count = 0
    while !names.insert(candidate).inserted {
      count += 1
      candidate = name + separator + String(count)
    }
    return candidate
  }

  // MARK: Inputs

  private mutating func addInputs(of model: KerasModel) throws -> [String] {
    if model.isSequential {
      guard let first = model.layers.first, let shape = model.statedInput else {
        throw Failure(
          "model '\(model.name)'", "has no graph", "it does not state the shape of its input",
          remedy: "build the model before saving it")
      }
      let label = first.className == "InputLayer" ? first.name : first.name + "_input"
      return [addInput(label, shape)]
    }
    return try zip(model.inputs.leaves, Self.labels(model.inputs)).map { input, label in
      guard let entry = model.layers.first(where: { $0.name == input.layer }), let shape = entry.statedInputShape
      else {
        throw Failure("model '\(model.name)'", "has no graph", "its input '\(input.layer)' states no shape")
      }
      return addInput(label, shape)
    }
  }

  private mutating func addInput(_ label: String, _ shape: [Int?]) -> String {
    let name = unique(label)
    let input = ModelGraph.Input(name: name, shape: shape)
    inputs.append(input)
    shapes.add(input)
    return name
  }

  // MARK: Models

  /// Adds the nodes of a model applied to `values` and returns what it gives.
  private mutating func expand(_ model: KerasModel, _ values: [String]) throws -> [String] {
    guard model.isSequential else { return try expandFunctional(model, values) }
    var values = values
    for entry in model.layers where entry.className != "InputLayer" {
      values = try apply(entry, [.list(values.map { .leaf(.value($0)) })], [], resultCount: 1)
    }
    return values
  }

  private mutating func expandFunctional(_ model: KerasModel, _ values: [String]) throws -> [String] {
    let inputs = model.inputs.leaves
    guard values.count == inputs.count else {
      throw Failure(
        "model '\(model.name)'", "cannot be wired", "it is called on \(values.count) tensors",
        remedy: "expected \(inputs.count)")
    }
    let numbers = KerasCallNumbers(model)
    let resultCounts = model.resultCounts
    /// The tensors of every call that is done, by layer.
    var done: [String: [[String]]] = [:]
    for (input, value) in zip(inputs, values) { done[input.layer] = [[value]] }

    func find(_ tensor: KerasTensor, at call: Int) -> String? {
      guard let calls = done[tensor.layer], calls.indices.contains(call),
        calls[call].indices.contains(tensor.tensor)
      else { return nil }
      return calls[call][tensor.tensor]
    }
    /// Nil where a tensor of the call is not there yet.
    func found(_ arguments: KerasCall.Arguments) -> KerasUse.Arguments? {
      try? arguments.map { argument throws(Missing) in
        switch argument {
        case .constant(let json): return .constant(json)
        case .tensor(let tensor):
          guard let value = find(tensor, at: numbers.position(inCall: tensor)) else { throw Missing() }
          return .value(value)
        }
      }
    }

    // Calls wait until their inputs are there: a layer may stand before what it is applied to.
    var waiting = model.layers.filter { !$0.calls.isEmpty && done[$0.name] == nil }
    while !waiting.isEmpty {
      var progress = false
      for entry in waiting {
        for call in entry.calls.dropFirst(done[entry.name]?.count ?? 0) {
          let arguments = call.arguments.compactMap(found)
          let keywords = call.keywords.compactMap { keyword in found(keyword.value).map { (keyword.name, $0) } }
          guard arguments.count == call.arguments.count, keywords.count == call.keywords.count else { break }
          done[entry.name, default: []].append(
            try apply(entry, arguments, keywords, resultCount: resultCounts[entry.name] ?? 1))
          progress = true
        }
      }
      waiting.removeAll { done[$0.name]?.count == $0.calls.count }
      guard progress || waiting.isEmpty else {
        throw Failure(
          "layer '\(waiting[0].path)'", "cannot be wired", "what it is applied to does not exist or runs in a circle")
      }
    }
    return try model.outputs.leaves.map { output in
      guard let value = find(output, at: numbers.position(inOutputs: output)) else {
        throw Failure("model '\(model.name)'", "cannot be wired", "nothing gives its output '\(output.layer)'")
      }
      return value
    }
  }

  private struct Missing: Error {}

  // MARK: Layers

  /// Adds the nodes of one use of a layer and returns its tensors.
  ///
  /// - Parameter resultCount: How many of them the model names at least.
  private mutating func apply(
    _ entry: KerasEntry, _ arguments: [KerasUse.Arguments], _ keywords: [(name: String, value: KerasUse.Arguments)],
    resultCount: Int
  ) throws -> [String] {
    if let model = entry.model { return try expand(model, try model.values(of: arguments)) }
    let name = unique(entry.path)
    var results: [String] = []
    var reason = KerasLayerType.absence(of: entry)
    do {
      if let model = entry.stepModel {
        results = try distribute(model, layer(entry), arguments, keywords, as: name)
      } else if let type = KerasLayerType.of(entry) {
        results = try expand(type, layer(entry), arguments, keywords, as: name)
      }
    } catch let failure as Failure {
      reason = failure.reason
    }
    let inputs = (arguments + keywords.map(\.value)).flatMap(\.values)
    while results.count < resultCount {
      let own = results.isEmpty ? name : unique("\(name)+\(results.count)")
      add(
        Node(
          name: own, layer: entry.path, operation: .unsupported(type: entry.className, reason: reason), inputs: inputs))
      results.append(own)
    }
    return results
  }

  /// Adds the nodes of a use of a layer that the program knows; the first result goes by `name`.
  private mutating func expand(
    _ type: KerasLayerType, _ layer: KerasLayer, _ arguments: [KerasUse.Arguments],
    _ keywords: [(name: String, value: KerasUse.Arguments)], as name: String
  ) throws -> [String] {
    let made = try made(type, layer, arguments, keywords, as: name)
    var renamed: [String: String] = [:]
    for node in made.nodes { renamed[node.name] = node.name == made.results.first ? name : unique(node.name) }
    func final(_ value: String) -> String { renamed[value] ?? value }
    for node in made.nodes {
      add(Node(name: final(node.name), layer: node.layer, operation: node.operation, inputs: node.inputs.map(final)))
    }
    masks = made.masks
    for (value, mask) in made.masks where renamed[value] != nil || renamed[mask] != nil {
      masks[value] = nil
      masks[final(value)] = final(mask)
    }
    return made.results.map(final)
  }

  /// What a use of a layer adds. The shapes that it grew on are the builder's alone again when this returns.
  private func made(
    _ type: KerasLayerType, _ layer: KerasLayer, _ arguments: [KerasUse.Arguments],
    _ keywords: [(name: String, value: KerasUse.Arguments)], as name: String
  ) throws -> (nodes: [Node], results: [String], masks: [String: String]) {
    var use = KerasUse(
      layer, arguments, keywords, kernels: try type.layers(layer), name: name, shapes: shapes, masks: masks)
    var results = try type.expansion(&use)
    if let first = results.first, !use.nodes.contains(where: { $0.name == first }) {
      // What it gives is what it was given: the value still goes by the layer's name.
      results[0] = use.append(.identity, [first])
    }
    return (use.nodes, results, use.masks)
  }

  /// Adds the nodes of a model that is applied to every step of a sequence.
  private mutating func distribute(
    _ model: KerasModel, _ layer: KerasLayer, _ arguments: [KerasUse.Arguments],
    _ keywords: [(name: String, value: KerasUse.Arguments)], as name: String
  ) throws -> [String] {
    let values = arguments.flatMap(\.values)
    let folded = try expand(.foldingSteps, layer, arguments, keywords, as: unique("\(name)+steps"))
    let results = try expand(model, folded)
    guard let result = results.first, let value = values.first, results.count == 1 else {
      throw layer.failure("cannot be run", "it gives \(results.count) results for every step")
    }
    return try expand(.unfoldingSteps, layer, [.leaf(.value(result)), .leaf(.value(value))], [], as: name)
  }

  private mutating func add(_ node: Node) {
    nodes.append(node)
    shapes.add(node)
  }
}

extension KerasStructure<KerasUse.Operand> {
  /// The values of the graph in an argument.
  fileprivate var values: [String] {
    leaves.compactMap { if case .value(let value) = $0 { value } else { nil } }
  }
}

extension KerasModel {
  /// The values that the model's inputs take when it is called as a layer, in the order of `inputs.leaves`.
  ///
  /// - Throws: `Failure` where the call says more than inputs.
  fileprivate func values(of arguments: [KerasUse.Arguments]) throws -> [String] {
    guard let given = arguments.first else {
      throw Failure("model '\(name)'", "cannot be wired", "it is called without inputs")
    }
    // A dictionary for a model whose inputs are a list is read by the inputs' names; what the model does not have is left out.
    if case .sortedDictionary(let pairs) = given {
      let keys: [String]
      if case .sortedDictionary(let own) = inputs { keys = own.map(\.key) } else { keys = inputs.leaves.map(\.layer) }
      let named = keys.compactMap { key in pairs.first { $0.key == key }?.value }
      if named.count == keys.count { return named.flatMap(\.values) }
    }
    return given.values
  }

  /// For each layer how many of its tensors the model names at least.
  fileprivate var resultCounts: [String: Int] {
    let tensors = layers.flatMap { $0.calls.flatMap(\.tensors) } + outputs.leaves
    return Dictionary(tensors.map { ($0.layer, $0.tensor + 1) }, uniquingKeysWith: max)
  }
}

extension KerasModel {
  /// The input shape of a Sequential.
  var statedInput: [Int?]? {
    guard let first = layers.first else { return statedInputShape }
    if let shape = first.statedInputShape { return shape }
    // The first layer may be a model that knows.
    if let model = first.model {
      if let shape = model.isSequential
        ? model.statedInput
        : model.layers.first(where: { $0.name == model.inputs.leaves.first?.layer })?.statedInputShape
      {
        return shape
      }
    }
    return statedInputShape
  }
}

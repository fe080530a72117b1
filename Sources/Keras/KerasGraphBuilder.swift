import Basics
import ModelGraph

/// Turns a model of the configuration into nodes, nested models expanded at every use.
struct KerasGraphBuilder {
  private let weights: KerasWeights
  private var inputs: [ModelGraph.Input] = []
  private var nodes: [Node] = []
  private var names: Set<String> = []

  init(_ weights: KerasWeights) { self.weights = weights }

  /// - Throws: `Failure` where the model does not say what its input is, or its wiring makes no sense.
  func graph(of model: KerasModel) throws -> ModelGraph {
    var builder = self
    let values = try builder.addInputs(of: model)
    let results = try builder.expand(model, values)
    let labels = model.isSequential ? model.layers.suffix(1).map(\.name) : model.outputs.map(\.layer)
    var taken: Set<String> = []
    let outputs = zip(labels, results).map { label, value in
      var name = label
      while !taken.insert(name).inserted { name += "_1" }
      return ModelGraph.Output(name: name, value: value)
    }
    return ModelGraph(inputs: builder.inputs, nodes: builder.nodes, outputs: outputs)
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
    return try model.inputs.map { input in
      guard let entry = model.layers.first(where: { $0.name == input.layer }), let shape = entry.statedInputShape
      else {
        throw Failure("model '\(model.name)'", "has no graph", "its input '\(input.layer)' states no shape")
      }
      return addInput(entry.name, shape)
    }
  }

  private mutating func addInput(_ label: String, _ shape: [Int?]) -> String {
    let name = unique(label)
    inputs.append(ModelGraph.Input(name: name, shape: shape))
    return name
  }

  // MARK: Models

  /// Adds the nodes of a model applied to `values` and returns what it gives.
  private mutating func expand(_ model: KerasModel, _ values: [String]) throws -> [String] {
    guard model.isSequential else { return try expandFunctional(model, values) }
    var values = values
    for entry in model.layers where entry.className != "InputLayer" {
      values = try apply(entry, to: values, obstacle: nil)
    }
    return values
  }

  private mutating func expandFunctional(_ model: KerasModel, _ values: [String]) throws -> [String] {
    guard values.count == model.inputs.count else {
      throw Failure(
        "model '\(model.name)'", "cannot be wired", "it is called on \(values.count) tensors",
        remedy: "expected \(model.inputs.count)")
    }
    let firstCalls = model.firstCalls
    /// The tensors of every call that is done, by layer.
    var done: [String: [[String]]] = [:]
    for (input, value) in zip(model.inputs, values) { done[input.layer] = [[value]] }

    func find(_ tensor: KerasTensor) -> String? {
      let call = tensor.call - (firstCalls[tensor.layer] ?? 0)
      guard let calls = done[tensor.layer], calls.indices.contains(call),
        calls[call].indices.contains(tensor.tensor)
      else { return nil }
      return calls[call][tensor.tensor]
    }

    // A shared layer may be needed again further down, so calls wait until their inputs are there.
    var waiting = model.layers.filter { !$0.calls.isEmpty && done[$0.name] == nil }
    while !waiting.isEmpty {
      var progress = false
      for entry in waiting {
        for call in entry.calls.dropFirst(done[entry.name]?.count ?? 0) {
          let inputs = call.inputs.compactMap(find)
          guard inputs.count == call.inputs.count else { break }
          done[entry.name, default: []].append(try apply(entry, to: inputs, obstacle: call.obstacle))
          progress = true
        }
      }
      waiting.removeAll { done[$0.name]?.count == $0.calls.count }
      guard progress || waiting.isEmpty else {
        throw Failure(
          "layer '\(waiting[0].path)'", "cannot be wired", "what it is applied to does not exist or runs in a circle")
      }
    }
    return try model.outputs.map { output in
      guard let value = find(output) else {
        throw Failure("model '\(model.name)'", "cannot be wired", "nothing gives its output '\(output.layer)'")
      }
      return value
    }
  }

  // MARK: Layers

  /// Adds the nodes of one use of a layer and returns its tensors.
  private mutating func apply(_ entry: KerasEntry, to values: [String], obstacle: String?) throws -> [String] {
    if let model = entry.model, obstacle == nil { return try expand(model, values) }
    let name = unique(entry.path)
    var operations: [Operation]
    var kernels: [Layer] = []
    do {
      guard let type = KerasLayerType.of(entry) else {
        throw Failure("", "", KerasLayerType.absence(of: entry))
      }
      if let obstacle { throw Failure("", "", obstacle) }
      let layer = weights.layer(entry)
      kernels = try type.layers(layer)
      let known = ModelGraph(inputs: inputs, nodes: nodes, outputs: [])
      operations = try type.operations(layer) { (try? known.shapes())?[values.first ?? ""]?.count }
    } catch let failure as Failure {
      operations = [.unsupported(type: entry.className, reason: failure.reason)]
    }
    var inputs = values
    for (index, operation) in operations.enumerated() {
      let isLast = index == operations.count - 1
      // Not `name/0`, which is what the stages in an operation's place are called.
      let own = isLast ? name : unique("\(name)+\(index)")
      nodes.append(
        Node(name: own, layer: operation.owner(among: kernels) ?? entry.path, operation: operation, inputs: inputs))
      inputs = [own]
    }
    return inputs
  }
}

extension Operation {
  /// The layer whose kernel the operation uses.
  fileprivate func owner(among layers: [Layer]) -> String? {
    guard case .convolution(_, _, let kernel, _) = self else { return nil }
    return layers.first { $0.kernel == kernel }?.name
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
        : model.layers.first(where: { $0.name == model.inputs.first?.layer })?.statedInputShape
      {
        return shape
      }
    }
    return statedInputShape
  }
}

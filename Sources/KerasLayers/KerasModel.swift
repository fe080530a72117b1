import Basics

/// A Sequential or functional model as its configuration describes it, nested models included.
package struct KerasModel: Sendable {
  package let name: String
  package let isSequential: Bool
  package let isTrainable: Bool
  package let layers: [KerasEntry]
  /// The tensors of `input_layers` and `output_layers` as the author arranged them; an empty list for a Sequential.
  package let inputs: KerasStructure<KerasTensor>
  package let outputs: KerasStructure<KerasTensor>
  /// What a Sequential states about its input beside its first layer.
  package let statedInputShape: [Int?]?
}

/// A tensor of a functional model: output `tensor` of call `call` of a layer.
package struct KerasTensor: Sendable, Equatable {
  package let layer: String
  package let call: Int
  package let tensor: Int
}

/// One layer of a model's configuration.
package struct KerasEntry: Sendable {
  package let name: String
  /// The name in front of `name` in this program: `outer/` inside the model `outer`.
  package let prefix: String
  package let className: String
  package let config: JSON
  /// The whole entry as the file has it.
  package let json: JSON
  /// Every use in a functional model; empty in a Sequential.
  let calls: [KerasCall]
  /// What the layer holds when it is a model itself.
  package let model: KerasModel?
  /// The model that a TimeDistributed applies to every step; nil for any other layer.
  package let stepModel: KerasModel?

  package var path: String { prefix + name }
  package var isTrainable: Bool { config["trainable"]?.bool ?? true }
}

extension KerasModel {
  /// Reads a model, nested ones included.
  ///
  /// - Parameter prefix: Goes in front of the layers' names to make them unique in the checkpoint.
  /// - Throws: `Failure` where the configuration has no form that Keras writes.
  package init(_ json: JSON, name fallback: String? = nil, prefix: String = "") throws {
    guard let className = json["class_name"]?.string, let config = json["config"] else {
      throw Failure("model_config", "cannot be read", "it has no 'class_name' and 'config'")
    }
    guard let entries = Self.entries(of: config) else {
      throw Failure(
        "model_config", "cannot be read", "a \(className) has no list of layers",
        remedy: "expected a Sequential or functional model")
    }
    isSequential = className == "Sequential"
    name = config["name"]?.string ?? fallback ?? className.lowercased()
    isTrainable = config["trainable"]?.bool ?? true
    layers = try entries.map { try KerasEntry($0, prefix: prefix) }
    inputs = try KerasTensor.structure(config["input_layers"], of: name)
    outputs = try KerasTensor.structure(config["output_layers"], of: name)
    statedInputShape =
      KerasEntry.shape(config["build_input_shape"]) ?? KerasEntry.shape(json["build_config"]?["input_shape"])
    guard isSequential || !outputs.leaves.isEmpty else {
      throw Failure("model_config", "cannot be read", "the model '\(name)' has no 'output_layers'")
    }
    var names: Set<String> = []
    for layer in layers where !names.insert(layer.name).inserted {
      throw Failure("model_config", "cannot be read", "the model '\(name)' has two layers '\(layer.name)'")
    }
  }

  /// The layers of the model and of those inside it.
  package var allEntries: [KerasEntry] { layers.flatMap { ($0.model ?? $0.stepModel)?.allEntries ?? [$0] } }

  private static func entries(of config: JSON) -> [JSON]? { config.array ?? config["layers"]?.array }

  /// Whether a class name of the configuration is a model's.
  package static func isModel(_ className: String, _ config: JSON) -> Bool {
    ["Sequential", "Functional", "Model"].contains(className) && entries(of: config) != nil
  }

  /// The class of a model that is one of its author's own, whose layers and wiring are in code; nil for any other configuration.
  package static func ownClass(of json: JSON) -> String? {
    guard let className = json["class_name"]?.string, let config = json["config"], config.object != nil,
      entries(of: config) == nil
    else { return nil }
    return className
  }
}

extension KerasTensor {
  /// `["name", 0, 0]`, with whatever Keras 2 puts behind.
  init?(_ json: JSON) {
    guard let items = json.array, items.count >= 3, let layer = items[0].string,
      let call = items[1].integer, let tensor = items[2].integer, call >= 0, tensor >= 0
    else { return nil }
    self.init(layer: layer, call: call, tensor: tensor)
  }

  /// The tensors of a model's inputs or outputs: one, or lists and dictionaries of them; an empty list where nothing is stated.
  fileprivate static func structure(_ json: JSON?, of model: String) throws -> KerasStructure<KerasTensor> {
    guard let json else { return .list([]) }
    if let tensor = KerasTensor(json) { return .leaf(tensor) }
    if let items = json.array, !items.isEmpty { return .list(try items.map { try structure($0, of: model) }) }
    if let object = json.object, object.count > 0 {
      return .dictionary(try object.pairs.map { ($0.key, try structure($0.value, of: model)) })
    }
    throw Failure(
      "model_config", "cannot be read", "the inputs or outputs of '\(model)' are no tensors",
      remedy: "expected [[\"name\", 0, 0]]")
  }
}

extension KerasEntry {
  init(_ json: JSON, prefix: String) throws {
    guard let className = json["class_name"]?.string, let config = json["config"],
      config.object != nil || config.array != nil
    else {
      throw Failure("model_config", "cannot be read", "a layer has no 'class_name' and 'config'")
    }
    guard let name = json["name"]?.string ?? config["name"]?.string else {
      throw Failure("model_config", "cannot be read", "a layer of class \(className) has no name")
    }
    self.name = name
    self.prefix = prefix
    self.className = className
    self.config = config
    self.json = json
    calls = try (json["inbound_nodes"]?.array ?? []).map { try KerasCall($0, of: name) }
    model =
      KerasModel.isModel(className, config)
      ? try KerasModel(json, name: name, prefix: prefix + name + "/") : nil
    if className == "TimeDistributed", let inner = config["layer"], let innerClass = inner["class_name"]?.string,
      let settings = inner["config"], KerasModel.isModel(innerClass, settings)
    {
      stepModel = try KerasModel(inner, prefix: prefix + name + "/")
    } else {
      stepModel = nil
    }
  }

  /// The input shape that the entry itself states, batch first.
  package var statedInputShape: [Int?]? {
    Self.shape(config["batch_shape"]) ?? Self.shape(config["batch_input_shape"])
      ?? Self.shape(json["build_config"]?["input_shape"])
  }

  package static func shape(_ json: JSON?) -> [Int?]? {
    guard let extents = json?.array, !extents.isEmpty else { return nil }
    let shape = extents.map { $0.isNull ? nil : $0.integer }
    let isShape = zip(extents, shape).allSatisfy { stated, extent in
      stated.isNull || (extent.map { (0...Int(Int32.max)).contains($0) } ?? false)
    }
    return isShape ? shape : nil
  }
}

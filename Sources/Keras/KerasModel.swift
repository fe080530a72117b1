import Basics

/// A Sequential or functional model as its configuration describes it, nested models included.
struct KerasModel: Sendable {
  let name: String
  let isSequential: Bool
  let isTrainable: Bool
  let layers: [KerasEntry]
  /// The tensors of `input_layers` and `output_layers`; empty for a Sequential.
  let inputs: [KerasTensor]
  let outputs: [KerasTensor]
  /// What a Sequential states about its input beside its first layer.
  let statedInputShape: [Int?]?
}

/// A tensor of a functional model: output `tensor` of call `call` of a layer.
struct KerasTensor: Sendable, Equatable {
  let layer: String
  let call: Int
  let tensor: Int
}

/// One layer of a model's configuration.
struct KerasEntry: Sendable {
  /// How a layer is applied once.
  struct Call: Sendable {
    let inputs: [KerasTensor]
    /// What else is passed that the program cannot follow, nil if nothing is.
    let obstacle: String?
  }

  let name: String
  /// The name in front of `name` in this program: `outer/` inside the model `outer`.
  let prefix: String
  let className: String
  let config: JSON
  /// The whole entry as the file has it.
  let json: JSON
  /// Every use in a functional model; empty in a Sequential.
  let calls: [Call]
  /// What the layer holds when it is a model itself.
  let model: KerasModel?

  var path: String { prefix + name }
  var isTrainable: Bool { config["trainable"]?.bool ?? true }
}

extension KerasModel {
  /// - Parameter prefix: Goes in front of the layers' names to make them unique in the checkpoint.
  /// - Throws: `Failure` where the configuration has no form that Keras writes.
  init(_ json: JSON, name fallback: String? = nil, prefix: String = "") throws {
    guard let className = json["class_name"]?.string, let config = json["config"] else {
      throw Failure("model_config", "cannot be read", "it has no 'class_name' and 'config'")
    }
    guard let entries = config.array ?? config["layers"]?.array else {
      throw Failure(
        "model_config", "cannot be read", "a \(className) has no list of layers",
        remedy: "expected a Sequential or functional model")
    }
    isSequential = className == "Sequential"
    name = config["name"]?.string ?? fallback ?? className.lowercased()
    isTrainable = config["trainable"]?.bool ?? true
    layers = try entries.map { try KerasEntry($0, prefix: prefix) }
    inputs = try KerasTensor.list(config["input_layers"], of: name)
    outputs = try KerasTensor.list(config["output_layers"], of: name)
    statedInputShape =
      KerasEntry.shape(config["build_input_shape"]) ?? KerasEntry.shape(json["build_config"]?["input_shape"])
    guard isSequential || !outputs.isEmpty else {
      throw Failure("model_config", "cannot be read", "the model '\(name)' has no 'output_layers'")
    }
    var names: Set<String> = []
    for layer in layers where !names.insert(layer.name).inserted {
      throw Failure("model_config", "cannot be read", "the model '\(name)' has two layers '\(layer.name)'")
    }
  }

  /// Whether a class name of the configuration is a model's.
  static func isModel(_ className: String, _ config: JSON) -> Bool {
    ["Sequential", "Functional", "Model"].contains(className)
      && (config.array != nil || config["layers"]?.array != nil)
  }

  /// For each layer the index that the configuration gives to its first call. Keras 2 counts a nested model's own making as
  /// call 0, but does not write it.
  var firstCalls: [String: Int] {
    let references = layers.flatMap { $0.calls.flatMap(\.inputs) } + outputs
    let last = Dictionary(references.map { ($0.layer, $0.call) }, uniquingKeysWith: max)
    return Dictionary(
      layers.map { entry in
        let calls = (last[entry.name] ?? 0) + 1
        return (entry.name, entry.model == nil ? 0 : min(1, max(0, calls - entry.calls.count)))
      }
    ) { first, _ in first }
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

  /// Every tensor inside a value, in order; Keras 3 writes one tensor without a list around it, and lists or
  /// dictionaries as the model's author had them.
  static func all(in json: JSON) -> [KerasTensor] {
    if let tensor = KerasTensor(json) { return [tensor] }
    return (json.array ?? json.object?.pairs.map(\.value) ?? []).flatMap { all(in: $0) }
  }

  fileprivate static func list(_ json: JSON?, of model: String) throws -> [KerasTensor] {
    guard let json else { return [] }
    let tensors = all(in: json)
    guard !tensors.isEmpty else {
      throw Failure(
        "model_config", "cannot be read", "the inputs or outputs of '\(model)' are no list of tensors",
        remedy: "expected [[\"name\", 0, 0]]")
    }
    return tensors
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
    calls = try (json["inbound_nodes"]?.array ?? []).map { try Call($0, of: name) }
    model =
      KerasModel.isModel(className, config)
      ? try KerasModel(json, name: name, prefix: prefix + name + "/") : nil
  }

  /// The input shape that the entry itself states, batch first.
  var statedInputShape: [Int?]? {
    Self.shape(config["batch_shape"]) ?? Self.shape(config["batch_input_shape"])
      ?? Self.shape(json["build_config"]?["input_shape"])
  }

  static func shape(_ json: JSON?) -> [Int?]? {
    guard let extents = json?.array, !extents.isEmpty else { return nil }
    let shape = extents.map { $0.isNull ? nil : $0.integer }
    let isShape = zip(extents, shape).allSatisfy { stated, extent in
      stated.isNull || (extent.map { (0...Int(Int32.max)).contains($0) } ?? false)
    }
    return isShape ? shape : nil
  }
}

extension KerasEntry.Call {
  /// A call as Keras 1 and 2 write it, a list of tensors, or as Keras 3 does, an object with `args` and `kwargs`.
  fileprivate init(_ json: JSON, of layer: String) throws {
    if let items = json.array {
      let tensors = items.compactMap { KerasTensor($0) }
      guard tensors.count == items.count else {
        throw Failure(
          "layer '\(layer)'", "cannot be wired", "its inbound nodes are no list of tensors",
          remedy: "expected [[\"name\", 0, 0, {}]]")
      }
      let extra = items.compactMap { $0.array?.dropFirst(3).first?.object }
        .flatMap(\.pairs).filter { !Self.isHarmless($0.value) }
      self.init(inputs: tensors, obstacle: extra.first.map { "it is called with '\($0.key)'" })
      return
    }
    guard let arguments = json["args"] else {
      throw Failure("layer '\(layer)'", "cannot be wired", "an inbound node has no 'args'")
    }
    var tensors: [KerasTensor] = []
    var obstacle: String?
    Self.collect(arguments, into: &tensors, &obstacle)
    for (key, value) in json["kwargs"]?.object?.pairs ?? [] where !Self.isHarmless(value) {
      obstacle = "it is called with '\(key)'"
    }
    self.init(inputs: tensors, obstacle: obstacle)
  }

  /// `training=False` and `mask=None` change nothing in inference.
  private static func isHarmless(_ value: JSON) -> Bool { value.isNull || value.bool != nil }

  private static func collect(_ json: JSON, into tensors: inout [KerasTensor], _ obstacle: inout String?) {
    if let items = json.array {
      for item in items { collect(item, into: &tensors, &obstacle) }
    } else if json["class_name"]?.string == "__keras_tensor__",
      let tensor = json["config"]?["keras_history"].flatMap({ KerasTensor($0) })
    {
      tensors.append(tensor)
    } else if !isHarmless(json) {
      obstacle = "one of its arguments is no tensor"
    }
  }
}

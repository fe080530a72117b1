import Basics
import KerasLayers

/// Writes changed layers into a configuration; everything else stays as it is.
struct KerasModelEdit {
  private let changes: [String: KerasEditor.Change]

  /// - Parameter changes: By the path of the layer.
  init(_ changes: [String: KerasEditor.Change]) { self.changes = changes }

  /// - Parameters:
  ///   - json: The configuration of a model, or the entry of a nested one.
  ///   - model: The same, parsed.
  /// - Throws: `Failure` where the result cannot be parsed.
  func applied(to json: JSON, _ model: KerasModel) throws -> JSON {
    guard var object = json.object, let config = object["config"] else { return json }
    var entries = try model.layers.flatMap { entry in
      if let change = changes[entry.path] { return Self.chain(change, in: model) }
      guard let inner = entry.model, changes.keys.contains(where: { $0.hasPrefix(entry.path + "/") })
      else { return [entry.json] }
      return [try applied(to: entry.json, inner)]
    }
    func result(_ entries: [JSON]) -> JSON {
      guard var settings = config.object else {
        object["config"] = .array(entries)
        return .object(object)
      }
      settings["layers"] = .array(entries)
      object["config"] = .object(settings)
      return .object(object)
    }
    guard !model.isSequential else { return result(entries) }
    let edited = try KerasModel(result(entries))
    let byName = Dictionary(zip(edited.layers.map(\.name), entries)) { first, _ in first }
    entries = KerasLayerOrder.names(of: edited).compactMap { byName[$0] }
    return result(entries)
  }

  /// What a configuration's text grows by with a change, in bytes. Where the new entries stand makes no difference.
  static func growth(_ change: KerasEditor.Change) -> Int {
    let entries = chain(change, in: change.holder)
    let commas = entries.count - 1
    func length(_ entry: JSON) -> Int { KerasShorterConfig.of(entry).text().utf8.count }
    return entries.reduce(commas - length(change.entry.json)) { $0 + length($1) }
  }

  // MARK: Entries

  /// The entries of a layer's parts, each applied to the one before.
  private static func chain(_ change: KerasEditor.Change, in model: KerasModel) -> [JSON] {
    let entry = change.entry
    let parts = zip(change.parts, change.names).enumerated().map { index, part in
      let inputs =
        index == 0
        ? entry.json["inbound_nodes"]
        : .array(
          (entry.json["inbound_nodes"]?.array ?? []).enumerated().map { call, json in
            Self.node(
              like: json, from: change.names[index - 1], call: call, shape: change.parts[index - 1].outputShape)
          })
      return Self.entry(
        like: entry, className: part.0.className, name: part.1, settings: part.0.settings, inputs: inputs)
    }
    guard model.isSequential, model.layers.first?.name == entry.name, let input = Self.input(of: entry, in: model)
    else { return parts }
    return [input] + parts
  }

  /// An entry in the form of another one.
  private static func entry(
    like entry: KerasEntry, className: String, name: String, settings: JSONObject, inputs: JSON?
  ) -> JSON {
    var config: JSONObject = ["name": .string(name)]
    for key in ["trainable", "dtype"] { config[key] = entry.config[key] }
    for (key, value) in settings.pairs { config[key] = value }
    var json = entry.json.object ?? [:]
    json["class_name"] = .string(className)
    json["config"] = .object(config)
    if json["name"] != nil { json["name"] = .string(name) }
    if json["module"] != nil { json["module"] = "keras.layers" }
    json["inbound_nodes"] = inputs
    // They describe the layer that was: its shape, and the object that Keras takes entries of the same number for.
    for key in ["build_config", "shared_object_id"] { json[key] = nil }
    return .object(json)
  }

  /// What a Sequential says about its input in its first layer, or itself: as a layer of its own it keeps the name that
  /// Keras gives the input.
  private static func input(of entry: KerasEntry, in model: KerasModel) -> JSON? {
    let stated =
      entry.config["batch_input_shape"]
      ?? (entry.prefix.isEmpty
        ? model.statedInputShape.map { JSON.array($0.map { .optional($0, JSON.integer) }) } : nil)
    let name = entry.name + "_input"
    guard let stated, KerasEntry.shape(stated) != nil, !model.layers.contains(where: { $0.name == name })
    else { return nil }
    let type = entry.config["dtype"].flatMap { $0.string == nil ? nil : $0 } ?? "float32"
    var input = Self.entry(
      like: entry, className: "InputLayer", name: name,
      settings: ["batch_input_shape": stated, "dtype": type, "sparse": false], inputs: nil)
    if var object = input.object, var config = object["config"]?.object {
      config["trainable"] = nil
      object["config"] = .object(config)
      input = .object(object)
    }
    return input
  }

  /// A call on the result of another layer's call, in the form that `node` has.
  private static func node(like node: JSON, from layer: String, call: Int, shape: [Int?]) -> JSON {
    let history: [JSON] = [.string(layer), .integer(call), 0]
    guard node.array == nil else { return [.array(history + [[:]])] }
    let tensor: JSON = [
      "class_name": "__keras_tensor__",
      "config": [
        "shape": .array(shape.map { .optional($0, JSON.integer) }),
        "dtype": dtype(in: node["args"]) ?? "float32", "keras_history": .array(history),
      ],
    ]
    return ["args": [tensor], "kwargs": [:]]
  }

  private static func dtype(in arguments: JSON?) -> JSON? {
    arguments?.array?.first?["config"]?["dtype"]
  }
}

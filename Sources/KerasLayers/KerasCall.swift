import Basics

/// How a layer of a functional model is applied once: what its author wrote between the parentheses.
struct KerasCall: Sendable {
  /// A tensor of the model, or a number, a text, a setting.
  enum Argument: Sendable {
    case tensor(KerasTensor)
    case constant(JSON)
  }

  typealias Arguments = KerasStructure<Argument>

  let arguments: [Arguments]
  /// Sorted by name, as Keras takes them apart.
  let keywords: [(name: String, value: Arguments)]
  /// Whether the call is written as Keras 3 writes calls.
  let isKeras3: Bool

  private init(_ arguments: [Arguments], _ keywords: [(key: String, value: Arguments)], isKeras3: Bool) {
    self.arguments = arguments
    self.isKeras3 = isKeras3
    guard case .sortedDictionary(let sorted) = Arguments.dictionary(keywords) else {
      preconditionFailure("no dictionary")
    }
    self.keywords = sorted.map { ($0.key, $0.value) }
  }

  /// Every tensor of the call, in Keras's order: arguments before keywords.
  var tensors: [KerasTensor] {
    (arguments + keywords.map(\.value)).flatMap(\.leaves).compactMap {
      if case .tensor(let tensor) = $0 { tensor } else { nil }
    }
  }

  /// A call as Keras 1 and 2 write it, tensors with the keywords behind the first of them, or as Keras 3 does, an object with `args` and
  /// `kwargs`.
  ///
  /// - Throws: `Failure` that names the layer where it is neither.
  init(_ json: JSON, of layer: String) throws {
    if let arguments = json["args"] {
      self.init(
        (arguments.array ?? [arguments]).map(Self.read3),
        (json["kwargs"]?.object?.pairs ?? []).map { ($0.key, Self.read3($0.value)) },
        isKeras3: true)
      return
    }
    guard json.array != nil || json.object != nil, let first = Self.firstTensor(json) else {
      throw Failure(
        "layer '\(layer)'", "cannot be wired", "its inbound nodes are no list of tensors",
        remedy: "expected [[\"name\", 0, 0, {}]]")
    }
    // A list of one tensor is that tensor.
    var data = Self.read2(json)
    if case .list(let items) = data, items.count == 1 { data = items[0] }
    let keywords = first.array?.dropFirst(3).first?.object?.pairs ?? []
    self.init([data], keywords.map { ($0.key, Self.read2($0.value)) }, isKeras3: false)
  }

  /// The first tensor of a value of Keras 2, with what stands behind its name.
  private static func firstTensor(_ json: JSON) -> JSON? {
    if KerasTensor(json) != nil || constant2(json) != nil { return json }
    let parts = json.array ?? json.object?.pairs.sorted { $0.key < $1.key }.map(\.value) ?? []
    return parts.lazy.compactMap(firstTensor).first
  }

  /// `["_CONSTANT_VALUE", -1, value, {}]`
  private static func constant2(_ json: JSON) -> JSON? {
    guard let items = json.array, items.count >= 3, items[0].string == "_CONSTANT_VALUE" else { return nil }
    return items[2]
  }

  private static func read2(_ json: JSON) -> Arguments {
    if let tensor = KerasTensor(json) { return .leaf(.tensor(tensor)) }
    if let value = constant2(json) { return .leaf(.constant(value)) }
    // A serialised object is one thing.
    if let object = json.object, object["class_name"] == nil {
      return .dictionary(object.pairs.map { ($0.key, read2($0.value)) })
    }
    guard let items = json.array, items.contains(where: { $0.array != nil || $0.object != nil }) else {
      return .leaf(.constant(json))
    }
    return .list(items.map(read2))
  }

  private static func read3(_ json: JSON) -> Arguments {
    if let object = json.object {
      guard let className = object["class_name"]?.string else {
        return .dictionary(object.pairs.map { ($0.key, read3($0.value)) })
      }
      guard className == "__keras_tensor__", let tensor = json["config"]?["keras_history"].flatMap({ KerasTensor($0) })
      else { return .leaf(.constant(json)) }
      return .leaf(.tensor(tensor))
    }
    guard let items = json.array, items.contains(where: { $0.array != nil || $0.object != nil }) else {
      return .leaf(.constant(json))
    }
    return .list(items.map(read3))
  }
}

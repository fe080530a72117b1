import Basics
import ModelGraph

/// Functions that stand in a model like layers: the operators of Keras 3 (`keras.ops`), and those of TensorFlow in tf.keras.
///
/// All go by the names of one table. What a function is told stands in the call, or in the configuration where Keras 3 puts it.
package enum KerasOperators {
  struct Function: Sendable {
    let type: KerasLayerType

    init(_ expansion: @escaping KerasLayerType.Expansion) {
      type = KerasLayerType(expansion: expansion)
    }

    /// A function of one result.
    static func single(_ make: @escaping @Sendable (inout KerasUse) throws -> String) -> Function {
      Function { [try make(&$0)] }
    }
  }

  static let all: [String: Function] = [elements, reductions, shapes, products]
    .reduce(into: [:]) { table, family in table.merge(family) { first, _ in first } }

  static func function(of entry: KerasEntry) -> Function? { name(of: entry).flatMap { all[$0] } }

  /// The name of the operator that an entry stands for; nil for a layer.
  package static func name(of entry: KerasEntry) -> String? {
    switch entry.className {
    case "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceProperty", "InstanceMethod":
      return entry.config["function"]?.string.map(plain)
    case "TensorFlowOpLayer":
      return entry.config["node_def"]?["op"]?.string.map(KerasGroupNames.snakeCase)
    default: break
    }
    let isOperator: Bool
    if let module = entry.json["module"]?.string {
      isOperator = module.contains(".ops.") || module.hasSuffix(".ops")
    } else {
      // In a .h5 file nothing says so, but that every layer says whether it is trainable.
      isOperator =
        entry.config.object.map { $0["trainable"] == nil } ?? false
        && all[KerasGroupNames.snakeCase(entry.className)] != nil
        && (KerasLayerType.all[entry.className] == nil || entry.calls.contains { !$0.isLayers })
    }
    return isOperator ? KerasGroupNames.snakeCase(entry.className) : nil
  }

  /// `math.add`, `compat.v1.transpose` and `nn.relu` without the modules whose functions mean what their names say everywhere.
  private static func plain(_ function: String) -> String {
    if function == "linalg.matmul" { return "matmul" }
    return function.split(separator: ".").drop { modules.contains($0) }.joined(separator: ".")
  }

  private static let modules: Set<Substring> = ["compat", "v1", "v2", "math", "nn", "__operators__"]
}

extension KerasCall {
  /// Whether the call is one that layers take: tensors, or lists of them.
  fileprivate var isLayers: Bool {
    arguments.count == 1
      && arguments.allSatisfy { argument in
        argument.leaves.allSatisfy { if case .tensor = $0 { true } else { false } }
      } && keywords.isEmpty
  }
}

extension KerasUse {
  /// What a function is told under one of some names: in the call, or in the configuration; nil where nothing or None is said.
  func setting(_ position: Int?, _ names: String...) throws -> JSON? {
    for name in names {
      guard let argument = keywords.first(where: { $0.name == name })?.value else { continue }
      return try constant(argument, name)
    }
    for name in names { if let value = layer.value(name) { return value } }
    guard let position, arguments.indices.contains(position) else { return nil }
    return try constant(arguments[position], names[0])
  }

  private func constant(_ argument: Arguments, _ name: String) throws -> JSON? {
    func json(_ part: Arguments) throws -> JSON {
      switch part {
      case .leaf(.constant(let json)): return json
      case .list(let items): return .array(try items.map(json))
      case .leaf(.value), .sortedDictionary:
        throw layer.failure("cannot be run", "its '\(name)' depends on the data")
      }
    }
    let value = try json(argument)
    return value.isNull ? nil : value
  }

  func integer(_ position: Int?, _ names: String..., default fallback: Int? = nil) throws -> Int {
    for name in names {
      if let value = try setting(position, name) {
        guard let number = value.integer, abs(number) <= Int(Int32.max) else { break }
        return number
      }
    }
    guard let fallback else { throw layer.failure("cannot be run", "its '\(names[0])' is no whole number") }
    return fallback
  }

  func isOn(_ position: Int?, _ name: String, default fallback: Bool = false) throws -> Bool {
    try setting(position, name)?.bool ?? fallback
  }

  /// Axes as one number or a list; nil where none are stated.
  func axes(_ position: Int?, _ names: String...) throws -> [Int]? {
    for name in names {
      guard let value = try setting(position, name) else { continue }
      guard let axes = value.integers ?? value.integer.map({ [$0] }), axes.allSatisfy({ abs($0) <= 64 }) else {
        throw layer.failure("cannot be run", "its '\(name)' is \(value.text())")
      }
      return axes
    }
    return nil
  }

  /// An operand by its position, or by one of its names; a number or an array in the call becomes a value.
  mutating func operand(_ position: Int, _ names: String...) throws -> String {
    let layer = self.layer
    let named = keywords.first { names.contains($0.name) }?.value
    guard let argument = named ?? (arguments.indices.contains(position) ? arguments[position] : nil) else {
      if let stated = names.lazy.compactMap({ layer.value($0) }).first { return literal(try array(stated)) }
      throw layer.failure("cannot be run", "it has no operand '\(names.first ?? String(position))'")
    }
    return try value(of: argument)
  }

  /// Whether an operand is given.
  func hasOperand(_ position: Int, _ names: String...) -> Bool {
    let given =
      keywords.first { names.contains($0.name) }?.value
      ?? (arguments.indices.contains(position) ? arguments[position] : nil)
    if case .leaf(.constant(let json))? = given { return !json.isNull }
    return given != nil
  }

  /// The operands of a function of a list.
  mutating func operands() throws -> [String] {
    guard let first = arguments.first ?? keywords.first(where: { ["values", "xs", "arrays"].contains($0.name) })?.value
    else { throw layer.withoutInput }
    guard case .list(let items) = first else { return [try value(of: first)] }
    return try items.map { try value(of: $0) }
  }

  mutating func value(of argument: Arguments) throws -> String {
    switch argument {
    case .leaf(.value(let value)): return value
    case .leaf(.constant(let json)): return literal(try array(json))
    case .list(let items):
      // A list of numbers and tensors is their stack.
      let parts = try items.map { item in
        let part = try value(of: item)
        return expand(part, axes: [0])
      }
      guard !parts.isEmpty else { throw layer.failure("cannot be run", "one of its operands is empty") }
      return append(.concatenate(axis: 0), parts)
    case .sortedDictionary: throw layer.failure("cannot be run", "one of its operands is a dictionary")
    }
  }

  /// A number or nested lists of numbers.
  private func array(_ json: JSON) throws -> Literal {
    // Serialised arrays: {"class_name": "__tensor__", "config": {"value": ...}}.
    if let inner = json["config"]?["value"] { return try array(inner) }
    if let flag = json.bool { return Literal(scalar: flag ? 1 : 0) }
    if let number = json.real { return Literal(scalar: number) }
    guard let items = json.array else {
      throw layer.failure("cannot be run", "one of its operands is \(String(json.text().prefix(40)))")
    }
    let parts = try items.map(array)
    guard let first = parts.first, parts.allSatisfy({ $0.shape == first.shape }) else {
      throw layer.failure("cannot be run", "one of its operands is no array")
    }
    return Literal(shape: [parts.count] + first.shape, values: parts.flatMap(\.values))
  }
}

import Basics
import ModelGraph

/// One use of a layer on its way into the graph: what the layer is applied to, and the nodes that compute it.
struct KerasUse {
  /// What stands for an argument: a value of the graph, or a number, a text, a setting.
  enum Operand: Sendable {
    case value(String)
    case constant(JSON)
  }

  typealias Arguments = KerasStructure<Operand>

  private(set) var layer: KerasLayer
  private(set) var arguments: [Arguments]
  private(set) var keywords: [(name: String, value: Arguments)]
  /// The nodes so far. Whoever made the use gives them their final names.
  private(set) var nodes: [Node] = []
  /// The masks of values: which steps of a sequence count. A mask is a value (batch, steps) of ones and zeros.
  private(set) var masks: [String: String]
  private var shapes: GrowingShapes
  private var kernels: [Layer]
  /// What the names of the nodes begin with.
  private let name: String

  /// - Parameters:
  ///   - name: What the names of the nodes begin with.
  ///   - shapes: Of the graph so far.
  ///   - masks: Of the graph's values so far.
  init(
    _ layer: KerasLayer, _ arguments: [Arguments], _ keywords: [(name: String, value: Arguments)], kernels: [Layer],
    name: String, shapes: GrowingShapes, masks: [String: String]
  ) {
    self.layer = layer
    self.arguments = arguments
    self.keywords = keywords
    self.kernels = kernels
    self.name = name
    self.shapes = GrowingShapes(on: shapes)
    self.masks = masks
  }

  // MARK: What the layer is applied to

  /// The values of a layer that is applied to tensors alone.
  ///
  /// - Throws: `Failure` where the call says more than that.
  func values() throws -> [String] {
    if let other = keywords.first(where: { !$0.value.isHarmless && !ignores($0.name) }) {
      throw layer.failure("cannot be run", "it is called with '\(other.name)'")
    }
    return try arguments.enumerated().flatMap { index, argument in
      guard index == 0 || !argument.isHarmless else { return [String]() }
      return try argument.leaves.map { operand in
        guard case .value(let value) = operand else {
          throw layer.failure("cannot be run", "one of its arguments is no tensor")
        }
        return value
      }
    }
  }

  /// Whether the layer does not read an argument outside training: a batch normalization takes its statistics from what a mask leaves.
  private func ignores(_ argument: String) -> Bool {
    argument == "mask" && layer.entry.className.contains("BatchNormalization")
  }

  /// An argument by its position, or by its name where the call names it; nil where it is left out or None.
  func argument(_ position: Int, _ name: String) -> Arguments? {
    let given = arguments.indices.contains(position) ? arguments[position] : keywords.first { $0.name == name }?.value
    if case .leaf(.constant(.null))? = given { return nil }
    return given
  }

  /// The shape of a value; nil where it does not follow.
  func shape(of value: String) -> [Int?]? { shapes.shape(of: value) }

  /// The mask of a value; nil where every step counts.
  func mask(of value: String) -> String? { masks[value] }

  /// Gives a value a mask, or takes its mask away.
  mutating func setMask(_ mask: String?, of value: String) { masks[value] = mask }

  // MARK: What computes it

  /// Applies a layer that this one holds, and returns that layer's results.
  mutating func apply(
    _ type: KerasLayerType, _ inner: KerasLayer, to arguments: [Arguments],
    _ keywords: [(name: String, value: Arguments)] = []
  ) throws -> [String] {
    let outer = (layer, self.arguments, self.keywords, kernels)
    (layer, self.arguments, self.keywords) = (inner, arguments, keywords)
    kernels += try type.layers(inner)
    defer { (layer, self.arguments, self.keywords, kernels) = outer }
    return try type.expansion(&self)
  }

  /// Adds a node and returns its value.
  mutating func append(_ operation: Operation, _ inputs: [String]) -> String {
    // Not `name/0`, which is what the stages in an operation's place are called.
    let node = Node(
      name: "\(name)+\(nodes.count)", layer: operation.owner(among: kernels) ?? layer.path, operation: operation,
      inputs: inputs)
    nodes.append(node)
    shapes.add(node)
    return node.name
  }

  mutating func append(_ operation: ArrayOperation, _ inputs: [String]) -> String { append(.array(operation), inputs) }

  /// Adds a few numbers as a value.
  mutating func literal(_ literal: Literal) -> String { append(.constant(literal), []) }
}

extension KerasStructure<KerasUse.Operand> {
  /// Whether an argument changes nothing in inference: `training=False`, `mask=None`.
  fileprivate var isHarmless: Bool {
    if case .leaf(.constant(let json)) = self { json.isNull || json.bool != nil } else { false }
  }
}

extension Operation {
  /// The layer whose kernel the operation uses.
  fileprivate func owner(among layers: [Layer]) -> String? {
    guard case .convolution(_, _, let kernel, _) = self else { return nil }
    return layers.first { $0.kernel == kernel }?.name
  }
}

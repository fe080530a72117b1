import Basics
import ONNXProto

extension Onnx_ModelProto {
  /// The model in stock operators as far as that goes: the model's own functions are written out, a branch whose condition is a constant
  /// takes the place of its If, and fused operators become those that they fuse.
  ///
  /// - Throws: `Failure` for functions that call themselves or grow beyond measure.
  func expanded() throws -> Onnx_ModelProto {
    guard !functions.isEmpty || graph.node.contains(where: \.isExpandable) else { return self }
    var result = self
    var expansion = ONNXExpansion(self)
    result.graph.node = try expansion.expanded(graph.node, depth: 0)
    result.graph.initializer += expansion.initializers
    if expansion.isComplete { result.functions = [] }
    return result
  }
}

/// Writes nodes out, with names that the model does not have yet.
private struct ONNXExpansion {
  private let functions: [String: Onnx_FunctionProto]
  private let opset: Int64
  private var names: Set<String>
  private var conditions: [String: Bool] = [:]
  /// What the branches brought along.
  private(set) var initializers: [Onnx_TensorProto] = []
  private var nodeCount = 0
  /// Whether every call of a function is written out.
  private(set) var isComplete = true

  /// Functions of some hundred nodes that call each other grow fast.
  private static let mostNodes = 200_000
  private static let deepest = 64

  init(_ model: Onnx_ModelProto) {
    functions = Dictionary(model.functions.map { (Self.key($0.domain, $0.name, $0.overload), $0) }) { first, _ in first
    }
    opset = model.opsetImport.first { ["", "ai.onnx"].contains($0.domain) }?.version ?? 1
    let graph = model.graph
    names = Set(graph.input.map(\.name) + graph.initializer.map(\.name) + graph.node.flatMap(\.output))
    for tensor in graph.initializer { conditions[tensor.name] = tensor.truth }
  }

  private static func key(_ domain: String, _ name: String, _ overload: String) -> String {
    "\(domain == "ai.onnx" ? "" : domain)\u{0}\(name)\u{0}\(overload)"
  }

  mutating func expanded(_ nodes: [Onnx_NodeProto], depth: Int) throws -> [Onnx_NodeProto] {
    guard depth < Self.deepest else {
      throw Failure("", "cannot be read", "its functions or branches lie \(depth) deep", remedy: "expected fewer")
    }
    var result: [Onnx_NodeProto] = []
    for node in nodes {
      learn(node)
      nodeCount += 1
      guard nodeCount <= Self.mostNodes else {
        throw Failure(
          "", "cannot be read", "its functions grow to more than \(Self.mostNodes) nodes", remedy: "expected fewer")
      }
      if let function = functions[Self.key(node.domain, node.opType, node.overload)] {
        if let body = body(of: function, node) {
          result += try expanded(body, depth: depth + 1)
        } else {
          isComplete = false
          result.append(node)
        }
      } else if node.isIf, let condition = node.input.first.flatMap({ conditions[$0] }),
        let branch = node.attribute(named: condition ? "then_branch" : "else_branch"),
        branch.g.sparseInitializer.isEmpty
      {
        result += try expanded(body(of: branch.g, node), depth: depth + 1)
      } else if node.isFused {
        result += unfused(node)
      } else {
        result.append(node)
      }
    }
    return result
  }

  /// Follows constants of truth.
  private mutating func learn(_ node: Onnx_NodeProto) {
    guard let output = node.output.first else { return }
    switch node.opType {
    case "Constant": conditions[output] = node.attribute(named: "value")?.t.truth
    case "Identity": conditions[output] = node.input.first.flatMap { conditions[$0] }
    case "Cast": conditions[output] = node.input.first.flatMap { conditions[$0] }
    case "Not": conditions[output] = node.input.first.flatMap { conditions[$0] }.map { !$0 }
    default: break
    }
  }

  /// A name that the model does not have yet.
  private mutating func fresh(_ name: String, in node: Onnx_NodeProto) -> String {
    let owner = node.name.isEmpty ? node.output.first ?? node.opType : node.name
    var result = "\(owner)/\(name)"
    while !names.insert(result).inserted { result += "'" }
    return result
  }

  /// Nil for a function of another version of the operators, which may mean something else by them.
  private mutating func body(of function: Onnx_FunctionProto, _ node: Onnx_NodeProto) -> [Onnx_NodeProto]? {
    let version = function.opsetImport.first { ["", "ai.onnx"].contains($0.domain) }?.version
    guard version == nil || version == opset else { return nil }
    var renamed: [String: String] = [:]
    for (index, input) in function.input.enumerated() {
      renamed[input] = node.input.indices.contains(index) ? node.input[index] : ""
    }
    var attributes = Dictionary(function.attributeProto.map { ($0.name, $0) }) { first, _ in first }
    for attribute in node.attribute { attributes[attribute.name] = attribute }
    return inlined(function.node, results: function.output, renamed, node) { $0.substituting(attributes) }
  }

  private mutating func body(of branch: Onnx_GraphProto, _ node: Onnx_NodeProto) -> [Onnx_NodeProto] {
    var renamed: [String: String] = [:]
    for tensor in branch.initializer {
      var tensor = tensor
      let name = names.insert(tensor.name).inserted ? tensor.name : fresh(tensor.name, in: node)
      renamed[tensor.name] = name
      conditions[name] = tensor.truth
      tensor.name = name
      initializers.append(tensor)
    }
    return inlined(branch.node, results: branch.output.map(\.name), renamed, node) { $0 }
  }

  /// The nodes of a body in the place of a node.
  ///
  /// - Parameters:
  ///   - results: The body's outputs, in the order of the node's.
  ///   - known: What the names of values that the body is given become.
  private mutating func inlined(
    _ body: [Onnx_NodeProto], results: [String], _ known: [String: String], _ node: Onnx_NodeProto,
    _ change: (Onnx_NodeProto) -> Onnx_NodeProto
  ) -> [Onnx_NodeProto] {
    var renamed = known
    let own = Set(body.flatMap(\.output))
    var copies: [(from: String, to: String)] = []
    for (result, output) in zip(results, node.output) where !output.isEmpty {
      if own.contains(result), renamed[result] == nil {
        renamed[result] = output
      } else {
        copies.append((result, output))
      }
    }
    for output in body.flatMap(\.output) where !output.isEmpty && renamed[output] == nil {
      renamed[output] = fresh(output, in: node)
    }
    let nodes = body.map { inner in
      var inner = change(inner).renaming(renamed)
      if !inner.name.isEmpty { inner.name = "\(node.name.isEmpty ? node.opType : node.name)/\(inner.name)" }
      return inner
    }
    return nodes
      + copies.map { copy in
        var identity = Onnx_NodeProto()
        identity.opType = "Identity"
        identity.input = [renamed[copy.from] ?? copy.from]
        identity.output = [copy.to]
        return identity
      }
  }

  /// com.microsoft's fused convolutions and products as the operators that they fuse.
  private mutating func unfused(_ node: Onnx_NodeProto) -> [Onnx_NodeProto] {
    guard let result = node.output.first else { return [node] }
    let key = node.attribute(named: "activation").map { String(decoding: $0.s, as: UTF8.self) } ?? ""
    guard let activation = FusedActivation.named(key, node) else { return [node] }
    var kernel = node
    kernel.domain = ""
    kernel.opType = node.opType == "FusedConv" ? "Conv" : "Gemm"
    kernel.attribute.removeAll { $0.name.hasPrefix("activation") }
    kernel.input = Array(node.input.prefix(3))
    while kernel.input.last == "" { kernel.input.removeLast() }
    var nodes = [kernel]
    func append(_ type: String, _ more: [String], _ attributes: [Onnx_AttributeProto], _ name: String) {
      nodes[nodes.count - 1].output = [name]
      var next = Onnx_NodeProto()
      next.opType = type
      next.name = "\(node.name.isEmpty ? result : node.name)/\(type)"
      next.input = [name] + more
      next.attribute = attributes
      nodes.append(next)
    }
    if node.input.count > 3, !node.input[3].isEmpty { append("Add", [node.input[3]], [], fresh("product", in: node)) }
    if let activation { append(activation.type, [], activation.attributes, fresh("sum", in: node)) }
    nodes[nodes.count - 1].output = [result]
    return nodes
  }
}

/// The activation of a fused operator.
private struct FusedActivation {
  let type: String
  let attributes: [Onnx_AttributeProto]

  /// Nil inside where there is no activation, nil for one that is not known.
  static func named(_ key: String, _ node: Onnx_NodeProto) -> FusedActivation?? {
    let names = ["LeakyRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "Relu": [], "Sigmoid": [], "Tanh": []]
    if key.isEmpty { return .some(nil) }
    let given = node.attribute(named: "activation_params")?.floats ?? []
    guard let keys = names[key] else { return nil }
    let named = node.attribute(named: "activation_alpha").map { [$0.f] } ?? []
    let values = given.isEmpty ? named + (node.attribute(named: "activation_beta").map { [$0.f] } ?? []) : given
    return .some(
      FusedActivation(
        type: key,
        attributes: zip(keys, values).map { key, value in
          var attribute = Onnx_AttributeProto()
          attribute.name = key
          attribute.type = .float
          attribute.f = value
          return attribute
        }))
  }
}

extension Onnx_TensorProto {
  /// The value of a single truth; nil for anything else.
  fileprivate var truth: Bool? {
    guard dataType == Int32(Onnx_TensorProto.DataType.bool.rawValue), dims.allSatisfy({ $0 == 1 }) else { return nil }
    return hasRawData ? rawData.first.map { $0 != 0 } : int32Data.first.map { $0 != 0 }
  }
}

extension Onnx_NodeProto {
  fileprivate var isIf: Bool { opType == "If" && ["", "ai.onnx"].contains(domain) }

  fileprivate var isFused: Bool { domain == "com.microsoft" && ["FusedConv", "FusedGemm"].contains(opType) }

  fileprivate var isExpandable: Bool { isIf || isFused }

  /// The node with other names of values, in the bodies of branches and loops too, unless they make such a value themselves.
  fileprivate func renaming(_ names: [String: String]) -> Onnx_NodeProto {
    var result = self
    result.input = input.map { names[$0] ?? $0 }
    result.output = output.map { names[$0] ?? $0 }
    for index in attribute.indices where attribute[index].hasG {
      let body = attribute[index].g
      let own = Set(body.node.flatMap(\.output) + body.input.map(\.name) + body.initializer.map(\.name))
      let outer = names.filter { !own.contains($0.key) }
      result.attribute[index].g.node = body.node.map { $0.renaming(outer) }
      for place in body.output.indices {
        result.attribute[index].g.output[place].name = outer[body.output[place].name] ?? body.output[place].name
      }
    }
    return result
  }

  /// The node with the attributes of a function's call in the places that ask for them.
  fileprivate func substituting(_ attributes: [String: Onnx_AttributeProto]) -> Onnx_NodeProto {
    var result = self
    result.attribute = attribute.compactMap { own in
      if !own.refAttrName.isEmpty {
        guard var given = attributes[own.refAttrName] else { return nil }
        given.name = own.name
        return given
      }
      guard own.hasG else { return own }
      var own = own
      own.g.node = own.g.node.map { $0.substituting(attributes) }
      return own
    }
    return result
  }
}

import Basics
import ModelGraph

/// Attention in all its forms.
extension KerasLayerType {
  static let attentions: [String: KerasLayerType] = [
    "Attention": KerasLayerType(
      weightNames: { layer in
        KerasWeightNames(
          trainable: (layer.bool("use_scale", default: false) ? ["scale"] : [])
            + (layer.value("score_mode")?.string == "concat" ? ["concat_score_weight"] : []))
      },
      expansion: { try $0.attention { try $0.attentionScores($1, $2) } }),
    "AdditiveAttention": KerasLayerType(
      weightNames: { KerasWeightNames(trainable: $0.bool("use_scale", default: true) ? ["scale"] : []) },
      expansion: { try $0.attention { try $0.additiveScores($1, $2) } }),
    "MultiHeadAttention": KerasLayerType(
      weightNames: { $0.projectionNames }, layers: { try $0.projections() },
      expansion: { try KerasHeads($0.layer).expanded(&$0) }),
    "GroupedQueryAttention": groupedQuery, "GroupQueryAttention": groupedQuery,
  ]

  private static let groupedQuery = KerasLayerType(
    weightNames: { $0.projectionNames }, layers: { try $0.projections() },
    expansion: { try KerasHeads($0.layer).expanded(&$0) })
}

extension KerasLayer {
  /// The parts of a layer of several heads, each with a kernel and perhaps a bias.
  fileprivate var projectionParts: [String] {
    ["query_dense", "key_dense"] + (bool("use_gate", default: false) ? ["gate_dense"] : [])
      + ["value_dense", "output_dense"]
  }

  fileprivate var projectionNames: KerasWeightNames {
    KerasWeightNames(trainable: projectionParts.flatMap { part in (["kernel"] + biasName).map { part + "/" + $0 } })
  }

  fileprivate func projections() throws -> [Layer] {
    try projectionParts.map { part in
      let isOutput = part == "output_dense"
      guard let stored = weights[part + "/kernel"], stored.shape.count > 1 else {
        throw failure("is incomplete", "its weight '\(part)/kernel' is missing or no matrix")
      }
      // (features, heads, width), or (heads, width, features...) for what comes out.
      let inputs = isOutput ? 2 : 1
      let axes = Array(stored.shape.indices)
      return matrix(
        path + "/" + part, stored, order: Array(axes[min(inputs, axes.count)...]) + axes[..<min(inputs, axes.count)],
        outputs: stored.shape.dropFirst(inputs).reduce(1, *),
        reason: "Keras keeps it inside its \(entry.className) layer")
    }
  }
}

extension KerasUse {
  /// Dot-product or additive attention over [query, value] or [query, value, key].
  fileprivate mutating func attention(
    _ scores: (inout KerasUse, _ query: String, _ key: String) throws -> String
  ) throws -> [String] {
    let inputs = (arguments.first?.leaves ?? []).compactMap { if case .value(let value) = $0 { value } else { nil } }
    guard (2...3).contains(inputs.count) else {
      throw layer.failure("cannot be run", "it is applied to \(inputs.count) values")
    }
    let (query, value, key) = (inputs[0], inputs[1], inputs.count > 2 ? inputs[2] : inputs[1])
    var masks = [mask(of: query), mask(of: value)]
    if let stated = argument(1, "mask") {
      guard case .list(let list) = stated else { throw layer.failure("cannot be run", "its mask is no list") }
      masks = list.prefix(2).map { part in
        if case .leaf(.value(let mask)) = part { return mask } else { return nil }
      }
    }
    var weights = try scores(&self, query, key)
    var counted = try masks.count > 1 ? masks[1].map { expand($0, axes: [try rank(of: $0) - 1]) } : nil
    if layer.bool("causal", default: false) || flag(4, "use_causal_mask") {
      let causal = try causalMask(query, key)
      counted = counted.map { elementwise(.and, $0, causal) } ?? causal
    }
    if let counted {
      let hidden = elementwise(.subtract, weights, scalar(1e9))
      weights = select(counted, weights, otherwise: hidden)
    }
    weights = activated(weights, .softmax(axis: -1))
    var result = append(.matrixProduct, [weights, value])
    if let mask = masks[0] {
      result = try masked(result, by: mask)
      setMask(mask, of: result)
    }
    return flag(3, "return_attention_scores") ? [result, weights] : [result]
  }

  fileprivate mutating func attentionScores(_ query: String, _ key: String) throws -> String {
    let scale = layer.bool("use_scale", default: false) ? try parameter("scale", []) : nil
    switch try layer.string("score_mode", default: "dot") {
    case "dot":
      let rank = try rank(of: key)
      let turned = transpose(key, Array(0..<rank - 2) + [rank - 1, rank - 2])
      let scores = append(.matrixProduct, [query, turned])
      return scale.map { elementwise(.multiply, scores, $0) } ?? scores
    case "concat":
      var sum = try pairwiseSum(query, key)
      if let scale { sum = elementwise(.multiply, sum, scale) }
      let all = reduce(.sum, activated(sum, .tanh), axes: [-1], keepsAxes: false)
      return elementwise(.multiply, all, try parameter("concat_score_weight", []))
    case let mode: throw layer.failure("cannot be run", "its score_mode is '\(mode)'")
    }
  }

  fileprivate mutating func additiveScores(_ query: String, _ key: String) throws -> String {
    var sum = activated(try pairwiseSum(query, key), .tanh)
    if layer.bool("use_scale", default: true) {
      sum = elementwise(.multiply, sum, try parameter("scale", [nil]))
    }
    return reduce(.sum, sum, axes: [-1], keepsAxes: false)
  }

  /// Every query with every key: (..., queries, keys, features).
  private mutating func pairwiseSum(_ query: String, _ key: String) throws -> String {
    let rank = try rank(of: query)
    return elementwise(.add, expand(query, axes: [rank - 1]), expand(key, axes: [rank - 2]))
  }

  /// Whether a setting of the call is on.
  func flag(_ position: Int, _ name: String) -> Bool {
    guard case .leaf(.constant(let json))? = argument(position, name) else { return false }
    return json.bool ?? false
  }

  /// The numbers 0, 1, ... along an axis of a value.
  mutating func places(along axis: Int, of value: String) -> String {
    let bounds = [literal(Literal([0])), append(.shape(axes: axis..<axis + 1), [value]), literal(Literal([1]))]
    return append(.range, bounds)
  }

  /// Which keys a query may see, (queries, keys): none after it.
  mutating func causalMask(_ query: String, _ key: String) throws -> String {
    let rows = places(along: try axis(-2, of: query), of: query)
    let columns = places(along: try axis(-2, of: key), of: key)
    return elementwise(.greaterOrEqual, expand(rows, axes: [1]), expand(columns, axes: [0]))
  }
}

import Basics
import ModelGraph

/// Attention of several heads: projections of query, key and value, attention in every head, and a projection of all heads together.
struct KerasHeads {
  private let layer: KerasLayer
  /// How many heads of the query share a head of key and value.
  private let sharing: Int
  /// What the products of queries and keys are divided with the root of.
  private let width: Int
  private let hasDropout: Bool

  init(_ layer: KerasLayer) throws {
    self.layer = layer
    if layer.entry.className == "MultiHeadAttention" {
      (sharing, width) = (1, try layer.integer("key_dim"))
    } else {
      let (queries, keys) = (try layer.integer("num_query_heads"), try layer.integer("num_key_value_heads"))
      guard queries % keys == 0 else {
        throw layer.failure("cannot be read", "\(keys) heads of keys do not divide \(queries) of queries")
      }
      (sharing, width) = (queries / keys, try layer.integer("head_dim"))
    }
    hasDropout = try layer.real("dropout", default: 0) > 0
  }

  private struct Inputs {
    let query: String
    let value: String
    let key: String
    /// Whether the call states the key.
    let namesKey: Bool
  }

  func expanded(_ use: inout KerasUse) throws -> [String] {
    let inputs = try inputs(use)
    let rank = try use.rank(of: inputs.query)
    guard try use.rank(of: inputs.value) == rank, try use.rank(of: inputs.key) == rank else {
      throw layer.failure("cannot be run", "its query, value and key have different counts of axes")
    }
    let attended = try attendedAxes(rank)
    let query = try projection(inputs.query, "query_dense", &use)
    let key = try projection(inputs.key, "key_dense", &use)
    let value = try projection(inputs.value, "value_dense", &use)
    // Letters for the axes of the query (batch..., heads, width) and, in capitals, those along which keys and values are attended to.
    let labels = (0...rank).map { Character(UnicodeScalar(UInt8(97 + $0))) }
    let (heads, inner) = (labels[rank - 1], labels[rank])
    let keyLabels = labels.indices.map { attended.contains($0) ? Character(labels[$0].uppercased()) : labels[$0] }
    let batch = labels.indices.filter { $0 < rank - 1 && !attended.contains($0) }.map { labels[$0] }
    let (rows, columns) = (attended.map { labels[$0] }, attended.map { keyLabels[$0] })

    // Heads of the query that share a head of the keys stand one after the other.
    var (queryLabels, grouped, group) = (labels, query, [Character]())
    if sharing > 1 {
      let extents = labels.indices.map { KerasUse.Extent.extents(query, [$0]) }
      let shared = try use.extent(rank - 1, of: query) / sharing
      grouped = try use.reshape(
        query, extents[..<(rank - 1)] + [.fixed(shared), .fixed(sharing), extents[rank]])
      group = ["z"]
      queryLabels = Array(labels[..<rank]) + group + [inner]
    }
    let scaled = use.elementwise(.multiply, grouped, use.scalar(1 / Double(width).squareRoot()))
    let scoreLabels = batch + [heads] + group + rows + columns
    var scores = try use.contract(scaled, queryLabels, key, keyLabels, to: scoreLabels)
    let scoreAxes = Array(scoreLabels.count - columns.count..<scoreLabels.count)
    let mask = try mask(inputs, attended, &use).map { mask in
      // (batch, queries, keys) before the heads are put in.
      try use.rank(of: mask) == 3 ? use.expand(mask, axes: sharing > 1 ? [1, 2] : [1]) : mask
    }
    scores = try softmax(scores, axes: scoreAxes, mask, &use)
    var result = try use.contract(scores, scoreLabels, value, keyLabels, to: queryLabels)
    if sharing > 1 {
      result = try use.reshape(
        result,
        labels.indices.map {
          $0 == rank - 1 ? .extents(query, [$0]) : .extents($0 < rank ? query : result, [$0 < rank ? $0 : rank + 1])
        })
    }
    if layer.bool("use_gate", default: false) {
      let gate = use.activated(try projection(inputs.query, "gate_dense", &use), .sigmoid)
      result = use.elementwise(.multiply, result, gate)
    }
    let output = try projection(result, "output_dense", &use)
    if layer.entry.className == "MultiHeadAttention" {
      use.setMask(use.mask(of: inputs.query), of: output)
      // Keras 3 takes them from the values themselves, so that layers that run later find none.
      if layer.majorVersion >= 3 {
        for value in [inputs.query, inputs.value, inputs.key] { use.setMask(nil, of: value) }
      }
    }
    guard use.flag(7, "return_attention_scores") else { return [output] }
    guard sharing == 1 else { throw layer.failure("cannot be run", "it is asked for the scores of grouped heads") }
    return [output, scores]
  }

  private func inputs(_ use: KerasUse) throws -> Inputs {
    func value(_ position: Int, _ name: String) throws -> String? {
      guard let argument = use.argument(position, name) else { return nil }
      guard case .leaf(.value(let value)) = argument else {
        throw layer.failure("cannot be run", "its \(name) is no tensor")
      }
      return value
    }
    guard let query = try value(0, "query"), let second = try value(1, "value") else {
      throw layer.failure("cannot be run", "it is not applied to a query and a value")
    }
    let key = try value(2, "key")
    return Inputs(query: query, value: second, key: key ?? second, namesKey: key != nil)
  }

  /// The axes along which is attended, counted from the front.
  private func attendedAxes(_ rank: Int) throws -> [Int] {
    guard rank >= 3, rank < 20 else {
      throw layer.failure("cannot be run", "its query has \(rank) axes")
    }
    guard let stated = layer.value("attention_axes") else { return Array(1..<rank - 1) }
    let axes = stated.integers ?? stated.integer.map { [$0] } ?? []
    let places = axes.map { $0 < 0 ? $0 + rank : $0 }
    guard !places.isEmpty, Set(places).count == places.count, places.allSatisfy({ (1..<rank - 1).contains($0) }) else {
      throw layer.failure("cannot be read", "its 'attention_axes' are \(stated.text())")
    }
    return places
  }

  /// The product with a part's kernel over the last axes, its bias included.
  private func projection(_ value: String, _ part: String, _ use: inout KerasUse) throws -> String {
    guard let stored = layer.weights[part + "/kernel"] else {
      throw layer.failure("is incomplete", "its weight '\(part)/kernel' is missing")
    }
    let kernel = try use.parameter(part + "/kernel", stored.shape)
    let rank = try use.rank(of: value)
    let summed = part == "output_dense" ? 2 : 1
    guard stored.shape.count > summed, rank > summed, rank + stored.shape.count < 24 else {
      throw layer.failure("does not fit its weights", "'\(stored.name)' has the shape \(stored.shape)")
    }
    let labels = (0..<24).map { Character(UnicodeScalar(UInt8(97 + $0))) }
    let own = Array(labels[..<rank])
    let others = Array(labels[rank..<rank + stored.shape.count - summed])
    let product = try use.contract(
      value, own, kernel, Array(own.suffix(summed)) + others, to: own.dropLast(summed) + others)
    guard let bias = layer.weights[part + "/bias"] else { return product }
    return use.elementwise(.add, product, try use.parameter(part + "/bias", bias.shape))
  }

  // MARK: Masks

  /// Which keys a query sees: (batch, queries, keys), or as the call states it; nil where it sees all.
  private func mask(_ inputs: Inputs, _ attended: [Int], _ use: inout KerasUse) throws -> String? {
    func stated(_ position: Int, _ name: String) throws -> String? {
      guard let argument = use.argument(position, name) else { return nil }
      guard case .leaf(.value(let value)) = argument else {
        throw layer.failure("cannot be run", "its \(name) is no tensor")
      }
      return value
    }
    var parts: [String] = []
    // Keras takes the query's own mask, whatever the call says.
    if let mask = use.mask(of: inputs.query) { parts.append(use.expand(mask, axes: [2])) }
    if let mask = try stated(4, "value_mask") ?? use.mask(of: inputs.value) {
      parts.append(use.expand(mask, axes: [1]))
    }
    if inputs.namesKey, let mask = try stated(5, "key_mask") ?? use.mask(of: inputs.key) {
      parts.append(use.expand(mask, axes: [1]))
    }
    if use.flag(9, "use_causal_mask") {
      guard attended == [1] else { throw layer.failure("cannot be run", "it masks the future along other axes") }
      parts.append(causal(inputs, &use, within: nil))
    }
    if let reach = layer.value("sliding_window")?.integer { parts.append(causal(inputs, &use, within: reach)) }
    guard parts.isEmpty || attended == [1] else {
      throw layer.failure("cannot be run", "it has masks and attends along \(attended.count) axes")
    }
    if let mask = try stated(6, "attention_mask") { parts.append(mask) }
    guard let first = parts.first else { return nil }
    return parts.dropFirst().reduce(first) { use.elementwise(.and, $0, $1) }
  }

  /// (1, queries, keys): keys that are not after the query, or those less than `reach` away.
  private func causal(_ inputs: Inputs, _ use: inout KerasUse, within reach: Int?) -> String {
    let rows = use.expand(use.places(along: 1, of: inputs.query), axes: [0, 2])
    let columns = use.expand(use.places(along: 1, of: inputs.value), axes: [0, 1])
    guard let reach else { return use.elementwise(.greaterOrEqual, rows, columns) }
    let distance = use.function(.absolute, of: use.elementwise(.subtract, rows, columns))
    return use.elementwise(.less, distance, use.scalar(Double(reach)))
  }

  /// What hides a score so far below all others that nothing is left of it.
  private static let hidden = -2.38e38

  private func softmax(_ scores: String, axes: [Int], _ mask: String?, _ use: inout KerasUse) throws -> String {
    guard let mask else { return use.softmax(scores, axes: axes) }
    if layer.majorVersion < 3 {
      let less = use.elementwise(.multiply, use.function(.not, of: mask), use.scalar(-1e9))
      return use.softmax(use.elementwise(.add, scores, less), axes: axes)
    }
    let shares = use.softmax(use.select(mask, scores, otherwise: use.scalar(Self.hidden)), axes: axes)
    // Where Keras takes the softmax itself, a query that sees nothing gets nothing.
    let isFused = !hasDropout && !use.flag(7, "return_attention_scores") && axes.count == 1
    return isFused ? shares : use.select(mask, shares, otherwise: use.scalar(0))
  }
}

extension KerasUse {
  /// The softmax over several axes as one.
  mutating func softmax(_ value: String, axes: [Int]) -> String {
    if axes.count == 1 { return activated(value, .softmax(axis: axes[0])) }
    let largest = reduce(.maximum, value, axes: axes)
    let powers = function(.exponential, of: elementwise(.subtract, value, largest))
    return elementwise(.divide, powers, reduce(.sum, powers, axes: axes))
  }
}

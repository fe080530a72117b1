import ModelGraph
import TensorCore

/// Attention and the rotation of positions, written as products and sums.
extension ONNXOperators {
  static let attention: [String: Converter] = ["Attention": attend, "RotaryEmbedding": rotate]

  private static let attend: Converter = { conversion in
    let node = conversion.node
    guard ["left_window_size", "right_window_size"].allSatisfy({ node.int($0, default: -1) < 0 }) else {
      return conversion.refuse("within a window")
    }
    guard node.input(6) == nil else { return conversion.refuse("over keys and values of stated lengths") }
    guard (node.input(4) == nil) == (node.input(5) == nil) else {
      return conversion.refuse("with past keys or past values alone")
    }
    let (queryHeads, keyHeads) = (node.int("q_num_heads", default: 0), node.int("kv_num_heads", default: 0))
    let isFlat = queryHeads > 0
    // (batch, heads, steps, size)
    func heads(_ index: Int, _ count: Int) throws -> String {
      let value = try conversion.operand(index)
      return isFlat ? conversion.transposed(conversion.reshaped(value, [0, 0, count, -1]), [0, 2, 1, 3]) : value
    }
    let query = try heads(0, queryHeads)
    var (key, value) = (try heads(1, keyHeads), try heads(2, keyHeads))
    var past: String?
    if node.input(4) != nil {
      let (pastKey, pastValue) = (try conversion.operand(4), try conversion.operand(5))
      past = conversion.reshaped(conversion.extent(pastKey, 2), [])
      key = conversion.value(.concatenate(axis: 2), [pastKey, key])
      value = conversion.value(.concatenate(axis: 2), [pastValue, value])
    }
    if let output = conversion.output(1) { conversion.emit(output, .identity, [key]) }
    if let output = conversion.output(2) { conversion.emit(output, .identity, [value]) }

    let isGrouped = !isFlat || queryHeads != keyHeads
    if isGrouped { (key, value) = (repeated(key, as: query, conversion), repeated(value, as: query, conversion)) }
    let products = conversion.value(.matrixProduct, [query, conversion.transposed(key, [0, 1, 3, 2])])
    let scale = node.float("scale", default: 0)
    let factor =
      scale != 0
      ? conversion.number(scale)
      : conversion.apply(
        .reciprocal, conversion.apply(.squareRoot, conversion.reshaped(conversion.extent(query, 3), [])))
    let scores = conversion.combine(.multiply, products, factor)
    var capped = scores
    let cap = node.float("softcap", default: 0)
    if cap > 0 {
      let bounded = conversion.value(
        .activation(.tanh), [conversion.combine(.divide, scores, conversion.number(cap))])
      capped = conversion.combine(.multiply, bounded, conversion.number(cap))
    }
    var biased = capped
    let isCausal = node.int("is_causal", default: 0) != 0
    if node.input(3) != nil {
      var mask = try conversion.operand(3)
      if conversion.kind(3) == .bool { mask = penalty(unless: mask, conversion) }
      biased = conversion.combine(.add, biased, mask)
    }
    if isCausal {
      biased = conversion.combine(.add, biased, causalPenalty(query, key, past, conversion))
    }
    var shares = conversion.value(.activation(.softmax(axis: -1)), [biased])
    if node.input(3) != nil || isCausal {
      // A step that may look at nothing sees zeros.
      let largest = conversion.reduced(.maximum, biased, axes: [-1])
      let isBlind = conversion.combine(.equal, largest, conversion.number(-.infinity))
      shares = conversion.combine(.select, isBlind, conversion.number(0), shares)
    }
    if let output = conversion.output(3) {
      let modes = [scores, capped, biased, shares]
      let mode = node.int("qk_matmul_output_mode", default: 0)
      guard modes.indices.contains(mode) else { return conversion.refuse("with the output mode \(mode)") }
      conversion.emit(output, .identity, [modes[mode]])
    }
    guard isFlat else { return conversion.emit(.matrixProduct, [shares, value]) }
    let result = conversion.value(.matrixProduct, [shares, value])
    conversion.emit(
      .reshape(keepsZero: false), [conversion.transposed(result, [0, 2, 1, 3]), conversion.literal([0, 0, -1])])
  }

  /// Minus infinity where a condition does not hold, else 0.
  private static func penalty(unless condition: String, _ conversion: ONNXConversion) -> String {
    conversion.combine(.select, condition, conversion.number(0), conversion.number(-.infinity))
  }

  /// Minus infinity for every key behind the query's own step.
  private static func causalPenalty(
    _ query: String, _ key: String, _ past: String?, _ conversion: ONNXConversion
  ) -> String {
    func steps(_ value: String) -> String {
      let count = conversion.reshaped(conversion.extent(value, 2), [])
      return conversion.value(.range, [conversion.number(0), count, conversion.number(1)])
    }
    var rows = conversion.reshaped(steps(query), [-1, 1])
    if let past { rows = conversion.combine(.add, rows, past) }
    return penalty(unless: conversion.combine(.lessOrEqual, steps(key), rows), conversion)
  }

  /// Every head as often as there are query heads for it.
  private static func repeated(_ value: String, as query: String, _ conversion: ONNXConversion) -> String {
    let count = conversion.combine(.integerDivide, conversion.extent(query, 1), conversion.extent(value, 1))
    let one = conversion.literal([1])
    let target = conversion.value(.concatenate(axis: 0), [one, one, count, one, one])
    let spread = conversion.value(.expand, [conversion.value(.unsqueeze, [value, conversion.literal([2])]), target])
    let extents = conversion.value(
      .concatenate(axis: 0),
      [
        conversion.literal([0]), conversion.extent(query, 1), conversion.extent(value, 2), conversion.extent(value, 3),
      ])
    return conversion.value(.reshape(keepsZero: false), [spread, extents])
  }

  private static let rotate: Converter = { conversion in
    let node = conversion.node
    let headCount = node.int("num_heads", default: 0)
    let isFlat = headCount > 0
    let given = try conversion.operand(0)
    // (batch, steps, heads, size)
    let input =
      isFlat ? conversion.reshaped(given, [0, 0, headCount, -1]) : conversion.transposed(given, [0, 2, 1, 3])
    let size = node.int("rotary_embedding_dim", default: 0)
    func part(_ value: String, _ start: Int, _ end: Int, step: Int = 1) -> String {
      conversion.value(
        .slice,
        [
          value, conversion.literal([start]), conversion.literal([end]), conversion.literal([-1]),
          conversion.literal([step]),
        ])
    }
    let end = Int(Int32.max)
    let turned = size > 0 ? part(input, 0, size) : input
    let isInterleaved = node.int("interleaved", default: 0) != 0
    func half(_ index: Int) -> String {
      isInterleaved
        ? part(turned, index, end, step: 2) : conversion.value(.part(axis: -1, index: index, count: 2), [turned])
    }
    let halves = [half(0), half(1)]
    func table(_ index: Int) throws -> String {
      var table = try conversion.operand(index)
      if node.input(3) != nil { table = conversion.value(.gather(axis: 0), [table, try conversion.operand(3)]) }
      return conversion.value(.unsqueeze, [table, conversion.literal([2])])
    }
    let (cosine, sine) = (try table(1), try table(2))
    let results = [
      conversion.combine(
        .subtract, conversion.combine(.multiply, cosine, halves[0]), conversion.combine(.multiply, sine, halves[1])),
      conversion.combine(
        .add, conversion.combine(.multiply, sine, halves[0]), conversion.combine(.multiply, cosine, halves[1])),
    ]
    var result: String
    if isInterleaved {
      let columns = results.map { conversion.value(.unsqueeze, [$0, conversion.literal([-1])]) }
      result = conversion.reshaped(conversion.value(.concatenate(axis: -1), columns), as: turned)
    } else {
      result = conversion.value(.concatenate(axis: -1), results)
    }
    if size > 0 { result = conversion.value(.concatenate(axis: -1), [result, part(input, size, end)]) }
    guard isFlat else { return conversion.emit(.transpose(order: [0, 2, 1, 3]), [result]) }
    conversion.emit(.reshape(keepsZero: false), [result, conversion.shape(given)])
  }
}

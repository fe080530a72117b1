import Inference

/// Loops over the rows of matrices whose rows belong to input symbols.
enum Rows {
  /// target[row] = table[symbol] . factor[row]; the rows begin at `offset` in the target, at `factorOffset` in the factor.
  static func multiply(
    _ table: [Float], _ symbols: ArraySlice<Int>, width: Int, by factor: [Float], at factorOffset: Int,
    into target: inout [Float], at offset: Int
  ) {
    let (table, factor) = (table.span, factor.span)
    var target = target.mutableSpan
    var (from, to) = (factorOffset, offset)
    for symbol in symbols {
      let row = table.extracting(symbol * width..<(symbol + 1) * width)
      let own = factor.extracting(from..<from + width)
      for i in 0..<width { target[to + i] = row[i] * own[i] }
      from += width
      to += width
    }
  }

  /// sums[symbol] += rows, for rows that begin at `offset`.
  static func scatter(
    _ rows: [Float], at offset: Int, _ symbols: ArraySlice<Int>, width: Int, into sums: inout [Float]
  ) {
    let rows = rows.span
    var sums = sums.mutableSpan
    var place = offset
    for symbol in symbols {
      let own = rows.extracting(place..<place + width)
      let start = symbol * width
      for i in 0..<width { sums[start + i] += own[i] }
      place += width
    }
  }

  /// sums[symbol] += a . b, for rows that begin at their offsets.
  static func scatterProduct(
    _ a: [Float], at aOffset: Int, _ b: [Float], at offset: Int, _ symbols: ArraySlice<Int>, width: Int,
    into sums: inout [Float]
  ) {
    let (a, b) = (a.span, b.span)
    var sums = sums.mutableSpan
    var (x, y) = (aOffset, offset)
    for symbol in symbols {
      let (own, other) = (a.extracting(x..<x + width), b.extracting(y..<y + width))
      let start = symbol * width
      for i in 0..<width { sums[start + i] += own[i] * other[i] }
      x += width
      y += width
    }
  }

  /// target[k] = source[offset + order[k]], row by row.
  static func gather(
    _ source: [Float], at offset: Int, _ order: [Int], width: Int, into target: inout [Float]
  ) {
    let source = source.span
    var target = target.mutableSpan
    var place = 0
    for position in order {
      let row = source.extracting(offset + position * width..<offset + (position + 1) * width)
      for i in 0..<width { target[place + i] = row[i] }
      place += width
    }
  }

  /// target[order[k]] = source[k], row by row.
  static func spread(_ source: [Float], _ order: [Int], width: Int, into target: inout [Float]) {
    let source = source.span
    var target = target.mutableSpan
    var place = 0
    for position in order {
      let row = source.extracting(place..<place + width)
      let start = position * width
      for i in 0..<width { target[start + i] = row[i] }
      place += width
    }
  }

  /// states[row] = tanh(sums[row] + offset[symbol]) or, with a gain, tanh(sums[row] . gain[symbol] + offset[symbol]); the sums begin at
  /// `sumOffset`, the states at `offset`.
  static func activate(
    _ sums: [Float], at sumOffset: Int, gain: [Float], offset table: [Float], _ symbols: ArraySlice<Int>, width: Int,
    into states: inout [Float], at stateOffset: Int
  ) {
    let (sums, gain, table) = (sums.span, gain.span, table.span)
    var states = states.mutableSpan
    var (from, to) = (sumOffset, stateOffset)
    for symbol in symbols {
      let row = symbol * width..<(symbol + 1) * width
      let (own, shift) = (sums.extracting(from..<from + width), table.extracting(row))
      if gain.isEmpty {
        for i in 0..<width { states[to + i] = hyperbolicTangent(own[i] + shift[i]) }
      } else {
        let scale = gain.extracting(row)
        for i in 0..<width { states[to + i] = hyperbolicTangent(own[i] * scale[i] + shift[i]) }
      }
      from += width
      to += width
    }
  }

  /// slopes = (asked + own) (1 - h^2), of one step: what is asked of its states h by the decoder and by the next step. The states lie one
  /// step further on.
  static func slope(
    _ asked: [Float], _ own: [Float], _ states: [Float], at place: Int, count: Int, into slopes: inout [Float]
  ) {
    let (asked, own) = (asked.span.extracting(place..<place + count), own.span)
    let states = states.span.extracting(place + count..<place + 2 * count)
    var slopes = slopes.mutableSpan
    for i in 0..<count { slopes[place + i] = (asked[i] + own[i]) * (1 - states[i] * states[i]) }
  }

  /// Within 1e-7 of tanh.
  @inline(__always)
  private static func hyperbolicTangent(_ x: Float) -> Float { 1 - 2 / (fastExponential(2 * x) + 1) }
}

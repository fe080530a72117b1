import TensorCore

/// The grids of a weight's output channels: one step for each, chosen by the error that rounding to it causes.
struct Grid {
  /// The steps that are tried, as parts of the one that reaches the channel's largest number: small ones clip.
  private static let clips = (0..<40).map { 1 - Double($0) * 0.02 }

  /// The step of every channel for which the weighted squared error of plain rounding is least.
  ///
  /// - Parameters:
  ///   - values, weights: of the numbers, side by side.
  ///   - channels: the channel of every number.
  ///   - unit: what a number is multiplied by before it is stored.
  /// - Returns: steps whose product with `unit` BF16 holds.
  static func steps(
    of values: [Double], weights: [Double], channels: [Int], count: Int, width: BitWidth, unit: Double
  ) -> [Double] {
    var members = [[Int]](repeating: [], count: count)
    for (place, channel) in channels.enumerated() { members[channel].append(place) }
    return members.map { places in
      let own = places.map { values[$0] }
      return best(of: candidates(own, width, unit), own, places.map { weights[$0] }, width)
    }
  }

  /// The nearest place of a grid.
  static func integer(_ value: Double, _ step: Double, _ width: BitWidth) -> Int8 {
    let limit = Double(width.largest)
    return Int8(max(-limit, min(limit, (value / step).rounded(.toNearestOrEven))))
  }

  /// The step among some, at least one, with the least weighted squared error of plain rounding.
  static func best(of steps: [Double], _ values: [Double], _ weights: [Double], _ width: BitWidth) -> Double {
    var best = steps[0]
    var least = Double.infinity
    for step in steps {
      let limit = Double(width.largest)
      var error = 0.0
      for i in values.indices {
        let rounded = max(-limit, min(limit, (values[i] / step).rounded(.toNearestOrEven))) * step
        error += weights[i] * (values[i] - rounded) * (values[i] - rounded)
      }
      if error < least { (best, least) = (step, error) }
    }
    return best
  }

  /// The steps that are worth trying for a channel's numbers, the largest first.
  static func candidates(_ values: [Double], _ width: BitWidth, _ unit: Double) -> [Double] {
    let largest = values.reduce(0) { max($0, abs($1)) } / Double(width.largest)
    guard largest > 0, largest.isFinite else { return [stored(0, unit)] }
    var steps: [Double] = []
    for clip in clips {
      let step = stored(largest * clip, unit)
      if step != steps.last { steps.append(step) }
    }
    return steps
  }

  /// The nearest step whose product with `unit` is a scale that a file holds; 1 where there is nothing to scale.
  static func stored(_ step: Double, _ unit: Double) -> Double {
    guard step > 0 else { return 1 / unit }
    let limits = Double(Float.leastNormalMagnitude)...1e38
    return Double(Float(roundedToBF16: max(limits.lowerBound, min(limits.upperBound, step * unit)))) / unit
  }
}

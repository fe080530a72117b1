import Foundation
import TensorCore

/// The places to which numbers are rounded: the multiples of a step that have an integer.
struct Grid: Equatable {
  let step: Double
  let levels: Levels

  /// The largest numbers that are tried, as parts of the largest one there is: small ones clip.
  private static let clips = (0..<40).map { 1 - Double($0) * 0.02 }

  /// The largest place.
  var largest: Double { step * Double(levels.multiples.last ?? 0) }

  /// The integer of the nearest place.
  func integer(_ value: Double) -> Int8 { levels.integer(nearest: value / step) }

  /// The place of an integer.
  func value(_ integer: Int8) -> Double { Double(levels.multiple(integer)) * step }

  /// The grid with the least weighted squared error of plain rounding among some, at least one.
  static func best(of grids: [Grid], _ values: [Double], _ weights: [Double]) -> Grid {
    var best = grids[0]
    var least = Double.infinity
    for grid in grids {
      var error = 0.0
      for i in values.indices {
        let rest = values[i] - grid.value(grid.integer(values[i]))
        error += weights[i] * rest * rest
      }
      if error < least { (best, least) = (grid, error) }
    }
    return best
  }

  /// The grids that are worth trying for numbers that share one, the largest first.
  static func candidates(_ values: [Double], _ storage: WeightStorage, _ unit: Double) -> [Grid] {
    let largest = values.reduce(0) { max($0, abs($1)) }
    guard largest > 0, largest.isFinite else { return [Grid(largest: 0, storage, unit)] }
    var grids: [Grid] = []
    for clip in clips {
      let grid = Grid(largest: largest * clip, storage, unit)
      if grid != grids.last { grids.append(grid) }
    }
    return grids
  }

  /// The step nearest to a number for which a file has a scale.
  ///
  /// - Parameter unit: what a number is multiplied by before it is stored.
  static func storable(_ step: Double, _ unit: Double) -> Double {
    let limits = Double(Float.leastNormalMagnitude)...1e38
    return Double(Float(roundedToBF16: max(limits.lowerBound, min(limits.upperBound, step * unit)))) / unit
  }

  /// What `GridDescent` may make of a step; nil where files have few scales.
  static func storable(_ storage: WeightStorage, _ unit: Double) -> ((Double) -> Double)? {
    storage.hasScaleOfEachChannel ? { storable($0, unit) } : nil
  }

  /// The grid of a storage whose largest place is a number, or where files have few scales the next one above it.
  ///
  /// - Parameters:
  ///   - largest: 0 where there is nothing to round.
  ///   - unit: what a number is multiplied by before it is stored; a file holds the product of `step` and it.
  /// - Precondition: the storage is not that of floating-point numbers.
  init(largest: Double, _ storage: WeightStorage, _ unit: Double) {
    switch storage {
    case .float: preconditionFailure("floating-point numbers are not rounded to a grid")
    case .integers(let width):
      levels = Levels(width)
      guard largest > 0 else {
        step = 1 / unit
        return
      }
      step = Self.storable(largest / Double(width.largest), unit)
    case .levels(let width):
      let family = Levels.byteFloats(width)
      let exponents = ByteFloat.unitExponents
      guard largest > 0 else {
        (step, levels) = (ByteFloat.unit(exponent: exponents.upperBound) / unit, family[0])
        return
      }
      // In steps of the family below or above the largest number of the byte, in octaves.
      let octaves = log2(max(1e-300, min(1e300, largest * unit)) / Double(ByteFloat.largest))
      let places = Int((octaves * Double(family.count) - 1e-6).rounded(.up))
      let exponent = -((-places).flooredQuotient(by: family.count))
      let clamped = max(exponents.lowerBound, min(exponents.upperBound, exponent))
      step = ByteFloat.unit(exponent: clamped) / unit
      levels = family[exponent == clamped ? exponent * family.count - places : 0]
    }
  }
}

extension Int {
  fileprivate func flooredQuotient(by divisor: Int) -> Int {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}

/// The grids of a weight's output channels.
struct ChannelGrids {
  /// For each channel the step.
  let steps: [Double]
  let levels: Levels

  init(steps: [Double], levels: Levels) { (self.steps, self.levels) = (steps, levels) }

  /// The grids for which the weighted squared error of plain rounding is least.
  ///
  /// - Parameters:
  ///   - values, weights: of the numbers, side by side.
  ///   - channels: the channel of every number.
  ///   - unit: what a number is multiplied by before it is stored.
  init(
    of values: [Double], weights: [Double], channels: [Int], count: Int, storage: WeightStorage, unit: Double
  ) {
    guard storage.hasScaleOfEachChannel else {
      let grid = Grid.best(of: Grid.candidates(values, storage, unit), values, weights)
      (steps, levels) = (Array(repeating: grid.step, count: count), grid.levels)
      return
    }
    var members = [[Int]](repeating: [], count: count)
    for (place, channel) in channels.enumerated() { members[channel].append(place) }
    let grids = members.map { places in
      let own = places.map { values[$0] }
      return Grid.best(of: Grid.candidates(own, storage, unit), own, places.map { weights[$0] })
    }
    (steps, levels) = (grids.map(\.step), Grid(largest: 0, storage, unit).levels)
  }
}

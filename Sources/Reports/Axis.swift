import Basics
import Foundation

/// The extent of one axis and the numbers that it shows.
struct Axis {
  enum Scale {
    /// The axis begins at 0, and bytes are shown in their unit.
    case bytes
    /// The marks are whole powers of 10.
    case logarithmic
    /// Just what the values need.
    case tight
  }

  let low: Double
  let high: Double
  private let scale: Scale

  init(_ values: [Double], _ scale: Scale) {
    self.scale = scale
    let (least, most) = (values.min() ?? 1, values.max() ?? 1)
    switch scale {
    case .logarithmic:
      (low, high) = (pow(10, floor(log10(least))), pow(10, max(floor(log10(least)) + 1, ceil(log10(most)))))
    case .bytes: (low, high) = (0, most > 0 ? most : 1)
    case .tight:
      let margin = most > least ? 0.05 * (most - least) : 0.05 * max(1, abs(most))
      (low, high) = (least - margin, most + margin)
    }
  }

  /// Where a value lies: from 0 at the beginning of the axis to 1 at its end.
  func part(_ value: Double) -> Double {
    scale == .logarithmic ? log(max(value, low) / low) / log(high / low) : (value - low) / (high - low)
  }

  var ticks: [Double] {
    guard scale == .logarithmic else { return (0...5).map { low + (high - low) * Double($0) / 5 } }
    let (first, last) = (Int(log10(low).rounded()), Int(log10(high).rounded()))
    let step = max(1, (last - first + 7) / 8)
    return stride(from: first, through: last, by: step).map { pow(10, Double($0)) }
  }

  func label(_ tick: Double) -> String {
    switch scale {
    case .bytes: Format.bytes(Int(tick))
    case .logarithmic: String(format: "%g", tick)
    case .tight: Format.number(tick)
    }
  }
}

import Foundation

/// Numbers as people read them, the same in the terminal and in reports.
package enum Format {
  /// `1.23 MB`: decimal units, three significant digits.
  package static func bytes(_ count: Int) -> String { scaled(Double(count), ["B", "kB", "MB", "GB", "TB"]) }

  /// A count as people read it: `12.5 M`.
  package static func count(_ count: Int) -> String {
    scaled(Double(count), ["", "k", "M", "G", "T"]).trimmingCharacters(in: .whitespaces)
  }

  /// A time in seconds as people read it: `12.3 ms`.
  package static func seconds(_ seconds: Double) -> String {
    seconds < 0.9995e-3
      ? scaled(seconds * 1e6, ["us"])
      : seconds < 0.9995
        ? String(format: "%.3g ms", seconds * 1e3) : String(format: "%.3g s", seconds)
  }

  /// A part of 1 as people read it: `12.3 %`.
  package static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  /// Three digits after the point, or a power of ten where these would say nothing: `0.123`, `1.2e-05`, `5.76e+33`.
  package static func number(_ value: Double) -> String {
    value == 0
      ? "0"
      : abs(value) < 1e-3
        ? String(format: "%.1e", value) : String(format: abs(value) < 1e6 ? "%.3f" : "%.3g", value)
  }

  /// A shape as people read it: `3 x 3 x 16`.
  package static func shape(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: " x ") }

  private static func scaled(_ value: Double, _ units: [String]) -> String {
    var value = value
    var unit = 0
    while abs(value) >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    let digits = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0
    return "\(String(format: "%.\(digits)f", value)) \(units[unit])"
  }
}

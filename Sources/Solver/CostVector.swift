/// What a choice costs under up to four limits at once, each in a unit of its own; components that nobody limits are 0 everywhere.
///
/// Whole numbers up to 2^53 are exact.
package typealias CostVector = SIMD4<Double>

extension SIMD4<Double> {
  /// A cost under the first limit alone.
  package init(first: Double) { self.init(first, 0, 0, 0) }

  func dot(_ other: SIMD4<Double>) -> Double { (self * other).sum() }

  /// Whether no component is above that of the other; false with a NaN.
  func fits(_ other: SIMD4<Double>) -> Bool { all(self .<= other) }
}

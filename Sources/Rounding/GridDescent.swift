import LinearAlgebra
import TensorCore

/// Rounded rows made better in a norm: each integer in turn, and each channel's step, becomes the best that the others leave.
///
/// Error feedback decides about every number once, before it knows those that follow. Coordinate descent from there never raises the error
/// (Behdin and others, QuantEase, 2023, for the integers). For a channel's step the error is quadratic, too.
struct GridDescent {
  /// The error of a row is that of its residual in the Kronecker product of these.
  private let outer: Tensor<Double>
  private let inner: Tensor<Double>
  /// The channel of every number, which shares a step.
  private let channels: [Int]
  private let levels: Levels

  private(set) var integers: [Int8]
  /// For each channel.
  private(set) var steps: [Double]
  /// The squared error in the norm of all rows together.
  private(set) var error: Double

  /// What the rows have more than their integers stand for, times the norm's matrix: (rows x outer x inner).
  private var curved: [Double]

  private static let rounds = 12
  /// A round that lowers the error by less than this part was the last.
  private static let leastGain = 1e-4
  /// The multiplications that all channels' steps may take where rows have several channels.
  private static let mostWork = 4e9

  /// - Parameters:
  ///   - rows: (rows x outer x inner).
  ///   - integers, channels: of each number.
  ///   - steps: of each channel.
  init(
    _ feedback: ErrorFeedback, _ rows: [Double], _ integers: [Int8], channels: [Int], steps: [Double], levels: Levels
  ) {
    (outer, inner) = (feedback.outerMatrix, feedback.innerMatrix)
    (self.channels, self.levels, self.integers, self.steps) = (channels, levels, integers, steps)
    let residuals = rows.indices.map { rows[$0] - Double(levels.multiple(integers[$0])) * steps[channels[$0]] }
    curved = Self.times(residuals, outer, inner)
    error = zip(residuals, curved).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// Improves the integers, and the steps, until little changes.
  ///
  /// - Parameter storable: the step nearest to a number that a file holds; nil leaves steps as they are.
  mutating func run(storable: ((Double) -> Double)?) {
    for _ in 0..<Self.rounds {
      let before = error
      improveIntegers()
      if let storable { improveSteps(storable) }
      guard error < before * (1 - Self.leastGain) else { break }
    }
  }

  private mutating func improveIntegers() {
    let (a, b) = (outer.shape[0], inner.shape[0])
    let (outerElements, innerElements) = (outer.elements, inner.elements)
    let (outerSpan, innerSpan) = (outerElements.span, innerElements.span)
    for start in stride(from: 0, to: integers.count, by: max(1, a * b)) {
      for i in 0..<a {
        for j in 0..<b {
          let place = start + i * b + j
          let curvature = outerSpan[i * (a + 1)] * innerSpan[j * (b + 1)]
          let step = steps[channels[place]]
          guard curvature > 0 else { continue }
          let value = Double(levels.multiple(integers[place])) * step
          let integer = levels.integer(nearest: (value + curved[place] / curvature) / step)
          guard integer != integers[place] else { continue }
          let change = Double(levels.multiple(integer)) * step - value
          let gain = change * (2 * curved[place] - change * curvature)
          guard gain > 0 else { continue }
          integers[place] = integer
          error -= gain
          for k in 0..<a {
            let factor = outerSpan[k * a + i] * change
            guard factor != 0 else { continue }
            let row = start + k * b
            for l in 0..<b { curved[row + l] -= factor * innerSpan[j * b + l] }
          }
        }
      }
    }
  }

  private mutating func improveSteps(_ storable: (Double) -> Double) {
    let width = max(1, outer.shape[0] * inner.shape[0])
    let multiples = integers.map { Double(levels.multiple($0)) }
    let rows = 0..<integers.count / width
    let isAlone = rows.allSatisfy { row in
      let first = channels[row * width]
      return channels[row * width..<(row + 1) * width].allSatisfy { $0 == first }
    }
    if isAlone {
      change(Array(rows), multiples, Self.times(multiples, outer, inner), storable)
      return
    }
    // Channels that share rows change one after the other.
    var members = [[Int]](repeating: [], count: steps.count)
    for (place, channel) in channels.enumerated() { members[channel].append(place) }
    let touched = members.map { Set($0.map { $0 / width }).sorted() }
    let work = Double(touched.reduce(0) { $0 + $1.count }) * Double(width * (outer.shape[0] + inner.shape[0]))
    guard work <= Self.mostWork else { return }
    for (channel, own) in members.enumerated() {
      var part = [Double](repeating: 0, count: touched[channel].count * width)
      let places = Dictionary(uniqueKeysWithValues: touched[channel].enumerated().map { ($1, $0) })
      for place in own {
        part[places[place / width, default: 0] * width + place % width] = multiples[place]
      }
      change(touched[channel], part, Self.times(part, outer, inner), storable)
    }
  }

  /// Changes the steps of the channels that the numbers of some rows have.
  ///
  /// - Parameters:
  ///   - multiples: of the rows' numbers in the channels that change; 0 for others.
  ///   - products: these times the norm's matrix.
  private mutating func change(
    _ rows: [Int], _ multiples: [Double], _ products: [Double], _ storable: (Double) -> Double
  ) {
    let width = max(1, outer.shape[0] * inner.shape[0])
    var (slopes, curvatures) = (Array(repeating: 0.0, count: steps.count), Array(repeating: 0.0, count: steps.count))
    for (position, row) in rows.enumerated() {
      for k in 0..<width {
        let channel = channels[row * width + k]
        slopes[channel] += multiples[position * width + k] * curved[row * width + k]
        curvatures[channel] += multiples[position * width + k] * products[position * width + k]
      }
    }
    var changes = Array(repeating: 0.0, count: steps.count)
    for channel in steps.indices where curvatures[channel] > 0 {
      let step = storable(steps[channel] + slopes[channel] / curvatures[channel])
      let change = step - steps[channel]
      let gain = change * (2 * slopes[channel] - change * curvatures[channel])
      guard step > 0, step.isFinite, gain > 0 else { continue }
      changes[channel] = change
      steps[channel] = step
      error -= gain
    }
    for (position, row) in rows.enumerated() {
      // A row's numbers that change are of one channel.
      guard let member = (0..<width).first(where: { multiples[position * width + $0] != 0 }) else { continue }
      let change = changes[channels[row * width + member]]
      for k in 0..<width { curved[row * width + k] -= change * products[position * width + k] }
    }
  }

  /// Rows times the Kronecker product of two symmetric matrices.
  private static func times(_ rows: [Double], _ outer: Tensor<Double>, _ inner: Tensor<Double>) -> [Double] {
    let (a, b) = (outer.shape[0], inner.shape[0])
    guard !rows.isEmpty else { return [] }
    let count = rows.count / b
    var turned = [Double](repeating: 0, count: rows.count)
    BLAS.gemm(
      false, false, m: count, n: b, k: b, a: rows, lda: b, b: inner.elements, ldb: b, c: &turned, ldc: b)
    guard a > 1 else { return turned.map { $0 * outer.elements[0] } }
    var result = [Double](repeating: 0, count: rows.count)
    for row in stride(from: 0, to: count, by: a) {
      BLAS.gemm(
        false, false, m: a, n: b, k: a, a: outer.elements, lda: a, b: turned, bOffset: row * b, ldb: b, c: &result,
        cOffset: row * b, ldc: b)
    }
    return result
  }
}

import Basics

/// A plane of an image with its border, line after line, and the outputs' places on the same grid: each tap of a kernel then sees one line
/// of numbers, which sixteen at a time go through without a branch.
struct PaddedPlane {
  private let g: Geometry
  private let depth: Int
  private let height: Int
  private let width: Int
  /// Where each tap sees the first output's place.
  let shifts: [Int]
  /// The distance from the first output's place to the last one's, rounded up to a multiple of 16.
  private let reach: Int

  init(_ g: Geometry) {
    self.g = g
    func extent(_ output: Int, _ stride: Int, _ kernel: Int, _ dilation: Int) -> Int {
      (output - 1) * stride + (kernel - 1) * dilation + 1
    }
    let depth = extent(g.output.depth, g.stride.depth, g.kernel.depth, g.dilation.depth)
    let height = extent(g.output.height, g.stride.height, g.kernel.height, g.dilation.height)
    let width = extent(g.output.width, g.stride.width, g.kernel.width, g.dilation.width)
    (self.depth, self.height, self.width) = (depth, height, width)
    func place(_ slice: Int, _ row: Int, _ column: Int) -> Int { (slice * height + row) * width + column }
    shifts = (0..<g.kernel.depth).flatMap { slice in
      (0..<g.kernel.height).flatMap { row in
        (0..<g.kernel.width).map {
          place(slice * g.dilation.depth, row * g.dilation.height, $0 * g.dilation.width)
        }
      }
    }
    let last = place(
      (g.output.depth - 1) * g.stride.depth, (g.output.height - 1) * g.stride.height,
      (g.output.width - 1) * g.stride.width)
    reach = (last + 16) & ~15
  }

  /// Zeros for a plane; behind its end there is room for whole sixteens.
  var empty: [Float] {
    Array(repeating: 0, count: max(depth * height * width, shifts.last.required("a kernel has a tap") + reach))
  }

  /// Zeros for the outputs on the grid.
  var emptyOutputs: [Float] { Array(repeating: 0, count: reach) }

  private func place(_ slice: Int, _ row: Int, _ column: Int) -> Int { (slice * height + row) * width + column }

  /// Writes an input plane; the border is zero already and stays so.
  func fill(_ target: inout MutableSpan<Float>, from source: Span<Float>, at offset: Int) {
    let columns = (g.before.width..<g.before.width + g.input.width).clamped(to: 0..<width)
    for slice in (g.before.depth..<g.before.depth + g.input.depth).clamped(to: 0..<depth) {
      for row in (g.before.height..<g.before.height + g.input.height).clamped(to: 0..<height) {
        let line = ((slice - g.before.depth) * g.input.height + row - g.before.height) * g.input.width
        copyRun(
          source, at: offset + line + columns.lowerBound - g.before.width, to: &target,
          at: place(slice, row, columns.lowerBound), count: columns.count)
      }
    }
  }

  /// Writes a plane of outputs to the grid; what lies between them is zero already and stays so.
  func spread(_ target: inout MutableSpan<Float>, from source: Span<Float>, at offset: Int) {
    forEachLine { line, start in
      let from = offset + line * g.output.width
      if g.stride.width == 1 {
        copyRun(source, at: from, to: &target, at: start, count: g.output.width)
      } else {
        for column in 0..<g.output.width { target[start + column * g.stride.width] = source[from + column] }
      }
    }
  }

  /// Writes the outputs on the grid to a plane.
  func gather(_ source: Span<Float>, into target: inout MutableSpan<Float>, at offset: Int) {
    forEachLine { line, start in
      let to = offset + line * g.output.width
      if g.stride.width == 1 {
        copyRun(source, at: start, to: &target, at: to, count: g.output.width)
      } else {
        for column in 0..<g.output.width { target[to + column] = source[start + column * g.stride.width] }
      }
    }
  }

  /// Sums over the taps at every place of the grid.
  ///
  /// - Parameter weights: one for each tap, from `first` on.
  func convolve(_ plane: Span<Float>, _ weights: Span<Float>, at first: Int, into outputs: inout MutableSpan<Float>) {
    let shifts = shifts.span
    for i in stride(from: 0, to: reach, by: 16) {
      var sum = SIMD16<Float>.zero
      for tap in 0..<shifts.count { sum += plane.sixteen(at: shifts[tap] + i) * weights[first + tap] }
      outputs.store(sum, at: i)
    }
  }

  /// The sum of the products of the outputs on the grid with what a tap sees.
  func product(_ outputs: Span<Float>, _ plane: Span<Float>, at shift: Int) -> Float {
    var sums = SIMD16<Float>.zero
    for i in stride(from: 0, to: reach, by: 16) { sums += outputs.sixteen(at: i) * plane.sixteen(at: shift + i) }
    return sums.sum()
  }

  /// Every line of outputs with its first one's place.
  @inline(__always)
  private func forEachLine(_ body: (Int, Int) -> Void) {
    var line = 0
    for slice in 0..<g.output.depth {
      for row in 0..<g.output.height {
        body(line, place(slice * g.stride.depth, row * g.stride.height, 0))
        line += 1
      }
    }
  }
}

extension Geometry {
  /// Calls `body(tap, column, position)` for every tap and every column of a stretch (counted from its start) that sees an
  /// input position (counted through all images).
  @inline(__always)
  func forEachTap(_ stretch: Stretch, _ body: (Int, Int, Int) -> Void) {
    for kernelDepth in 0..<kernel.depth {
      let depth = stretch.depth * stride.depth + kernelDepth * dilation.depth - before.depth
      guard depth >= 0, depth < input.depth else { continue }
      for kernelRow in 0..<kernel.height {
        let height = stretch.row * stride.height + kernelRow * dilation.height - before.height
        guard height >= 0, height < input.height else { continue }
        let line = ((stretch.image * input.depth + depth) * input.height + height) * input.width
        for kernelColumn in 0..<kernel.width {
          let tap = (kernelDepth * kernel.height + kernelRow) * kernel.width + kernelColumn
          let inside = Self.inside(
            tap: kernelColumn, input: input.width, output: output.width, stride: stride.width,
            dilation: dilation.width, before: before.width
          ).clamped(to: stretch.columns)
          let shift = kernelColumn * dilation.width - before.width
          for column in inside {
            body(tap, column - stretch.columns.lowerBound, line + column * stride.width + shift)
          }
        }
      }
    }
  }
}

import ModelGraph

/// Three extents, outermost first; values with fewer spatial axes have 1 in front.
struct Extents: Sendable, Equatable {
  var depth: Int
  var height: Int
  var width: Int

  init(_ extents: some Collection<Int>, filling: Int = 1) {
    precondition(extents.count <= 3, "at most three spatial axes are supported")
    let all = Array(repeating: filling, count: 3 - extents.count) + Array(extents)
    (depth, height, width) = (all[0], all[1], all[2])
  }

  var count: Int { depth * height * width }
}

/// A window over the spatial axes of concrete extents, as three axes whatever the model has.
struct Geometry: Sendable {
  let input: Extents
  let output: Extents
  let kernel: Extents
  let stride: Extents
  let dilation: Extents
  /// The border in front of every axis.
  let before: Extents

  init(input: [Int], output: [Int], kernel: [Int], window: Window) {
    self.input = Extents(input)
    self.output = Extents(output)
    self.kernel = Extents(kernel)
    stride = Extents(window.stride)
    dilation = Extents(window.dilation)
    before = Extents(
      kernel.indices.map { axis in
        window.padding.amounts(
          axis: axis, input: input[axis], kernel: kernel[axis], stride: window.stride[axis],
          dilation: window.dilation[axis]
        ).before
      }, filling: 0)
  }

  /// Whether every output position sees exactly the input position of the same place.
  var isPointwise: Bool {
    kernel.count == 1 && stride == Extents([]) && before == Extents([], filling: 0) && input == output
  }

  /// The outputs along an axis whose tap `tap` lies inside the input.
  static func inside(
    tap: Int, input: Int, output: Int, stride: Int, dilation: Int, before: Int
  ) -> Range<Int> {
    let shift = before - tap * dilation
    let first = shift > 0 ? (shift + stride - 1) / stride : 0
    let last = input - 1 + shift
    let end = last < 0 ? 0 : min(output, last / stride + 1)
    return min(first, end)..<end
  }
}

/// One stretch of output positions in the same image and the same row.
struct Stretch {
  let image: Int
  let depth: Int
  let row: Int
  let columns: Range<Int>
}

extension Geometry {
  /// Cuts output positions, counted through all images, into stretches of rows.
  @inline(__always)
  func forEachStretch(_ positions: Range<Int>, _ body: (Stretch) -> Void) {
    var position = positions.lowerBound
    while position < positions.upperBound {
      let (line, column) = position.quotientAndRemainder(dividingBy: output.width)
      let (plane, row) = line.quotientAndRemainder(dividingBy: output.height)
      let (image, depth) = plane.quotientAndRemainder(dividingBy: output.depth)
      let count = min(output.width - column, positions.upperBound - position)
      body(Stretch(image: image, depth: depth, row: row, columns: column..<column + count))
      position += count
    }
  }
}

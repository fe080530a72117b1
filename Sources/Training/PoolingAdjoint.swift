import ModelGraph
import TensorCore

/// The gradient of a pooling's input: an average's goes to all cells of its window alike, a maximum's to the first cell that has it.
struct PoolingAdjoint {
  private let pooling: Pooling
  private let input: Tensor<Float>
  private let output: Tensor<Float>
  private let axes: [Int]
  private let inputStrides: [Int]
  private let borders: [(before: Int, after: Int)]

  init(_ pooling: Pooling, input: Tensor<Float>, output: Tensor<Float>) {
    self.pooling = pooling
    self.input = input
    self.output = output
    axes = Array(pooling.layout.spatialAxes(rank: input.order))
    inputStrides = input.shape.indices.map { input.shape[($0 + 1)...].reduce(1, *) }
    borders = axes.enumerated().map { [axes = self.axes] axis, _ in
      pooling.window.padding.amounts(
        axis: axis, input: input.shape[axes[axis]], kernel: pooling.extents[axis], stride: pooling.window.stride[axis],
        dilation: pooling.window.dilation[axis])
    }
  }

  func apply(_ gradient: Tensor<Float>) -> Tensor<Float> {
    var result = [Float](repeating: 0, count: input.count)
    let outputStrides = output.shape.indices.map { output.shape[($0 + 1)...].reduce(1, *) }
    for position in gradient.elements.indices {
      let index = output.shape.indices.map { position / outputStrides[$0] % output.shape[$0] }
      let cells = self.cells(index)
      guard !cells.inside.isEmpty else { continue }
      if pooling.kind == .average {
        let count = pooling.countsPadding ? cells.count : cells.inside.count
        for cell in cells.inside { result[cell] += gradient.elements[position] / Float(max(1, count)) }
      } else if let cell = cells.inside.first(where: { input.elements[$0] == output.elements[position] }) {
        result[cell] += gradient.elements[position]
      }
    }
    return Tensor(shape: input.shape, elements: result)
  }

  /// The cells of one window inside the input, and how many it has with those of the border.
  private func cells(_ index: [Int]) -> (inside: [Int], count: Int) {
    let base = index.indices.reduce(0) { axes.contains($1) ? $0 : $0 + index[$1] * inputStrides[$1] }
    var inside = [base]
    var count = 1
    for (axis, place) in axes.enumerated() {
      let (window, extent) = (pooling.window, input.shape[place])
      let start = index[place] * window.stride[axis] - borders[axis].before
      let taps = (0..<pooling.extents[axis]).map { start + $0 * window.dilation[axis] }
      count *= taps.count { $0 < extent + borders[axis].after }
      let valid = taps.filter { (0..<extent).contains($0) }
      inside = inside.flatMap { cell in valid.map { cell + $0 * inputStrides[place] } }
    }
    return (inside, count)
  }
}

import LinearAlgebra
import ModelGraph
import TensorCore

/// What a unit impulse in each of some input channels becomes: for every output channel a (inputs, extents...) block.
///
/// Before the first convolution the impulses are still where they are, in one channel each: only their places are kept.
struct Response {
  enum Step: Sendable {
    /// - tapMajor: the weight with its taps first, so that each is one matrix (out, in) of all groups.
    case convolution(Convolution, dilation: [Int], tapMajor: [Double])
    case permutation(axes: [Int], order: [Int])
  }

  private enum State {
    /// The channel of each impulse.
    case impulses([Int])
    /// [channels, extents..., inputs]: the taps of one channel lie side by side.
    case values([Double])
  }

  private let inputs: Range<Int>
  private var channels = 0
  /// How far the response reaches in each spatial axis; empty before the first convolution.
  private var extents: [Int] = []
  private var state: State

  init(_ inputs: Range<Int>) {
    self.inputs = inputs
    state = .impulses(Array(inputs))
  }

  private init(_ inputs: Range<Int>, channels: Int, extents: [Int], _ values: [Double]) {
    self.inputs = inputs
    self.channels = channels
    self.extents = extents
    state = .values(values)
  }

  static func tapMajor(_ weight: Tensor<Double>, _ convolution: Convolution) -> [Double] {
    weight.reshaped([convolution.kernelShape[0], convolution.kernelShape[1], convolution.spatialExtents.reduce(1, *)])
      .permuted([2, 0, 1]).elements
  }

  func followed(by step: Step) -> Response {
    switch step {
    case .permutation(let axes, let order): permuted(axes, order)
    case .convolution(let convolution, let dilation, let tapMajor):
      switch state {
      case .impulses(let places): started(places, convolution, dilation, tapMajor)
      case .values(let values): convolved(values, convolution, dilation, tapMajor)
      }
    }
  }

  private func permuted(_ axes: [Int], _ order: [Int]) -> Response {
    var result = self
    switch state {
    case .values(let values):
      let size = extents.reduce(1, *) * inputs.count
      result.state = .values(Tensor(shape: axes + [size], elements: values).permuted(order + [axes.count]).elements)
    case .impulses(let places):
      let strides = Tensor<Double>.strides(of: order.map { axes[$0] })
      let old = Tensor<Double>.strides(of: axes)
      result.state = .impulses(
        places.map { place in
          order.indices.reduce(0) { $0 + place / old[order[$1]] % axes[order[$1]] * strides[$1] }
        })
    }
    return result
  }

  /// The first convolution: of each impulse it makes what its weights say of that channel.
  private func started(
    _ places: [Int], _ convolution: Convolution, _ dilation: [Int], _ tapMajor: [Double]
  ) -> Response {
    let taps = convolution.spatialExtents
    let reach = taps.indices.map { (taps[$0] - 1) * dilation[$0] + 1 }
    let positions = reach.reduce(1, *)
    let (outputs, perGroup) = (convolution.kernelShape[0] / convolution.groups, convolution.kernelShape[1])
    let strides = Tensor<Double>.strides(of: reach)
    var values = [Double](repeating: 0, count: convolution.outputChannels * positions * inputs.count)
    var target = values.mutableSpan
    let weight = tapMajor.span
    for tap in 0..<taps.reduce(1, *) {
      let position = Self.index(tap, taps).enumerated().reduce(0) {
        $0 + $1.element * dilation[$1.offset] * strides[$1.offset]
      }
      for (input, place) in places.enumerated() {
        let (copy, own) = place.quotientAndRemainder(dividingBy: perGroup)
        let row = copy % convolution.groups * outputs
        for output in 0..<outputs {
          target[((copy * outputs + output) * positions + position) * inputs.count + input] =
            weight[(tap * convolution.kernelShape[0] + row + output) * perGroup + own]
        }
      }
    }
    return Response(inputs, channels: convolution.outputChannels, extents: reach, values)
  }

  /// Composes as polynomials in the spatial shift, one gemm for each tap of each copy.
  private func convolved(
    _ values: [Double], _ convolution: Convolution, _ dilation: [Int], _ tapMajor: [Double]
  ) -> Response {
    let taps = convolution.spatialExtents
    let newExtents = extents.indices.map { extents[$0] + (taps[$0] - 1) * dilation[$0] }
    let size = extents.reduce(1, *) * inputs.count
    let newSize = newExtents.reduce(1, *) * inputs.count
    let (outputs, perGroup) = (convolution.kernelShape[0] / convolution.groups, convolution.kernelShape[1])
    var result = [Double](repeating: 0, count: convolution.outputChannels * newSize)
    var product = [Double](repeating: 0, count: outputs * size)
    for copy in 0..<convolution.batch * convolution.groups {
      let group = copy % convolution.groups
      for tap in 0..<taps.reduce(1, *) {
        BLAS.gemm(
          false, false, m: outputs, n: size, k: perGroup, alpha: 1,
          a: tapMajor, aOffset: (tap * convolution.kernelShape[0] + group * outputs) * perGroup, lda: perGroup,
          b: values, bOffset: copy * perGroup * size, ldb: size,
          beta: 0, c: &product, cOffset: 0, ldc: size)
        let shift = Self.index(tap, taps).enumerated().map { $0.element * dilation[$0.offset] }
        add(product, channels: copy * outputs..<(copy + 1) * outputs, at: shift, of: newExtents, to: &result)
      }
    }
    return Response(inputs, channels: convolution.outputChannels, extents: newExtents, result)
  }

  /// Adds blocks of the response's extents at a spatial shift to blocks of larger extents.
  private func add(
    _ source: [Double], channels: Range<Int>, at shift: [Int], of newExtents: [Int], to result: inout [Double]
  ) {
    let (positions, newPositions) = (extents.reduce(1, *), newExtents.reduce(1, *))
    let strides = Tensor<Double>.strides(of: newExtents)
    var target = result.mutableSpan
    let added = source.span
    for position in 0..<positions {
      let index = Self.index(position, extents)
      let place = index.indices.reduce(0) { $0 + (index[$1] + shift[$1]) * strides[$1] }
      for (row, channel) in channels.enumerated() {
        let from = (row * positions + position) * inputs.count
        let to = (channel * newPositions + place) * inputs.count
        for i in 0..<inputs.count { target[to + i] += added[from + i] }
      }
    }
  }

  private static func index(_ flat: Int, _ extents: [Int]) -> [Int] {
    var rest = flat
    return extents.reversed().map { extent in
      defer { rest /= extent }
      return rest % extent
    }.reversed()
  }

  /// The taps at the layer's dilation as (out, inputs, spatial...); nil where the response reaches elsewhere, outside of a group for
  /// instance.
  ///
  /// - Precondition: the response has the layer's channels, and reaches as far as its taps.
  func kernel(_ layer: Convolution, _ dilation: [Int]) -> Tensor<Double>? {
    let taps = layer.spatialExtents
    let tapCount = taps.reduce(1, *)
    let (outputs, perGroup) = (layer.kernelShape[0] / layer.groups, layer.kernelShape[1])
    var kernel = [Double](repeating: 0, count: layer.kernelShape[0] * inputs.count * tapCount)
    var target = kernel.mutableSpan
    let shape = [layer.kernelShape[0], inputs.count] + taps
    guard case .values(let values) = state else {
      guard case .impulses(let places) = state else { return nil }
      for (input, place) in places.enumerated() { target[place * inputs.count + input] = 1 }
      return Tensor(shape: shape, elements: kernel)
    }
    let source = values.span
    let strides = Tensor<Double>.strides(of: extents)
    let positions = extents.reduce(1, *)
    for tap in 0..<tapCount {
      let position = Self.index(tap, taps).enumerated().reduce(0) {
        $0 + $1.element * dilation[$1.offset] * strides[$1.offset]
      }
      for channel in 0..<channels {
        let own = channel / outputs * perGroup
        for input in inputs.indices {
          let offset = input - inputs.lowerBound
          let value = source[(channel * positions + position) * inputs.count + offset]
          if (own..<own + perGroup).contains(input) {
            target[(channel * inputs.count + offset) * tapCount + tap] = value
          } else if value != 0 {
            return nil
          }
        }
      }
    }
    return Tensor(shape: shape, elements: kernel)
  }
}

import LinearAlgebra
import ModelGraph
import TensorCore

/// The dense kernel that a list of stages computes: their composition, whatever structure they come from. It ties the
/// promises of a plan to the weights that a file really holds.
public enum ComposedKernel {
  /// Composes the stages' convolutions as polynomials in the spatial shift, one gemm for each tap of each copy.
  ///
  /// - Parameters:
  ///   - stages: of one layer.
  ///   - weights: one for each convolution, of its `kernelShape`.
  ///   - layer: the dense convolution that the stages replace.
  /// - Returns: the kernel (out, in, spatial...) of `layer.kernelShape`; nil where the stages do not compose to that shape.
  public static func compose(
    _ stages: [Stage], weights: [Tensor<Double>], layer: Convolution
  ) -> Tensor<Double>? {
    let inputs = layer.inputChannels
    var response = Response(identity: inputs, spatialOrder: layer.spatialOrder)
    var remaining = weights[...]
    for stage in stages {
      switch stage {
      case .convolution(let convolution):
        guard let weight = remaining.popFirst(), weight.shape == convolution.kernelShape,
          convolution.inputChannels == response.channels,
          convolution.spatialOrder == layer.spatialOrder
        else { return nil }
        response = response.followed(by: convolution, weight)
      case .permutation(let axes, let order):
        guard axes.reduce(1, *) == response.channels, order.sorted() == Array(axes.indices) else { return nil }
        response = response.permuted(axes, order)
      case .bias: break
      }
    }
    guard remaining.isEmpty, response.channels == layer.outputChannels else { return nil }
    return response.kernel(layer)
  }
}

/// What a unit impulse in each input channel becomes: for every output channel a (inputs, extents...) block.
private struct Response {
  var channels: Int
  let inputs: Int
  /// How far the response reaches in each spatial axis.
  var extents: [Int]
  /// [channels, extents..., inputs]: the taps of one channel lie side by side.
  var values: [Double]

  init(identity channels: Int, spatialOrder: Int) {
    self.channels = channels
    inputs = channels
    extents = Array(repeating: 1, count: spatialOrder)
    values = [Double](repeating: 0, count: channels * channels)
    for channel in 0..<channels { values[channel * channels + channel] = 1 }
  }

  private init(channels: Int, inputs: Int, extents: [Int]) {
    self.channels = channels
    self.inputs = inputs
    self.extents = extents
    values = [Double](repeating: 0, count: channels * inputs * extents.reduce(1, *))
  }

  private var size: Int { extents.reduce(1, *) * inputs }

  func permuted(_ axes: [Int], _ order: [Int]) -> Response {
    var result = self
    result.values = Tensor(shape: axes + [size], elements: values).permuted(order + [axes.count]).elements
    return result
  }

  func followed(by convolution: Convolution, _ weight: Tensor<Double>) -> Response {
    let dilation = convolution.window.dilation
    let taps = convolution.spatialExtents
    let newExtents = extents.indices.map { extents[$0] + (taps[$0] - 1) * dilation[$0] }
    var result = Response(
      channels: convolution.outputChannels, inputs: inputs, extents: newExtents)
    let outputs = convolution.kernelShape[0] / convolution.groups
    let perGroup = convolution.kernelShape[1]
    let tapCount = taps.reduce(1, *)
    // The taps first, so that each tap is one matrix (out, in) of the group.
    let tapMajor = weight.reshaped([convolution.kernelShape[0], perGroup, tapCount]).permuted([2, 0, 1])
    var product = [Double](repeating: 0, count: outputs * size)
    for copy in 0..<convolution.batch * convolution.groups {
      let group = copy % convolution.groups
      for tap in 0..<tapCount {
        BLAS.gemm(
          false, false, m: outputs, n: size, k: perGroup, alpha: 1,
          a: tapMajor.elements, aOffset: (tap * convolution.kernelShape[0] + group * outputs) * perGroup,
          lda: perGroup,
          b: values, bOffset: copy * perGroup * size, ldb: size,
          beta: 0, c: &product, cOffset: 0, ldc: size)
        result.add(
          product, channels: copy * outputs..<(copy + 1) * outputs, from: extents,
          shift: Self.index(tap, taps).enumerated().map { $0.element * dilation[$0.offset] })
      }
    }
    return result
  }

  /// Adds blocks of `sourceExtents` at a spatial shift.
  private mutating func add(
    _ source: [Double], channels: Range<Int>, from sourceExtents: [Int], shift: [Int]
  ) {
    let positions = sourceExtents.reduce(1, *)
    let strides = Tensor<Double>.strides(of: extents)
    for position in 0..<positions {
      let index = Self.index(position, sourceExtents)
      let target = index.indices.reduce(0) { $0 + (index[$1] + shift[$1]) * strides[$1] }
      for (row, channel) in channels.enumerated() {
        let from = (row * positions + position) * inputs
        let to = channel * size + target * inputs
        for i in 0..<inputs { values[to + i] += source[from + i] }
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

  /// The taps at the layer's dilation; nil where the response reaches elsewhere, outside of a group for instance.
  func kernel(_ layer: Convolution) -> Tensor<Double>? {
    let taps = layer.spatialExtents
    let dilation = layer.window.dilation
    guard layer.batch == 1, inputs == layer.inputChannels,
      extents == taps.indices.map({ (taps[$0] - 1) * dilation[$0] + 1 })
    else { return nil }
    let strides = Tensor<Double>.strides(of: extents)
    var kernel = [Double](repeating: 0, count: layer.parameterCount)
    let tapCount = taps.reduce(1, *)
    let (perGroup, outputs) = (layer.kernelShape[1], channels / layer.groups)
    for tap in 0..<tapCount {
      let index = Self.index(tap, taps)
      let position = index.indices.reduce(0) { $0 + index[$1] * dilation[$1] * strides[$1] }
      for channel in 0..<channels {
        let own = channel / outputs * perGroup
        for input in 0..<inputs {
          let value = values[channel * size + position * inputs + input]
          if (own..<own + perGroup).contains(input) {
            kernel[(channel * perGroup + input - own) * tapCount + tap] = value
          } else if value != 0 {
            return nil
          }
        }
      }
    }
    return Tensor(shape: layer.kernelShape, elements: kernel)
  }
}

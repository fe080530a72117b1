import ModelGraph
import TensorCore

/// Runs stages the slow and obvious way, on one sample (channels, spatial...).
enum StageRunner {
  static func run(
    _ stages: [Stage], weights: [Tensor<Double>], bias: [Double]?, on input: Tensor<Double>
  ) -> Tensor<Double> {
    var rest = weights[...]
    return stages.reduce(input) { state, stage in
      let spatial = Array(state.shape.dropFirst())
      switch stage {
      case .convolution(let convolution):
        return convolve(state, rest.removeFirst(), convolution)
      case .permutation(let axes, let order):
        precondition(axes.reduce(1, *) == state.shape[0])
        return state.reshaped(axes + spatial)
          .permuted(order + spatial.indices.map { $0 + axes.count }).reshaped(state.shape)
      case .bias(let channels):
        precondition(channels == state.shape[0])
        let positions = spatial.reduce(1, *)
        let bias = bias ?? []
        return Tensor(
          shape: state.shape,
          elements: state.elements.enumerated().map { $1 + bias[$0 / positions] })
      }
    }
  }

  static func convolve(
    _ input: Tensor<Double>, _ weight: Tensor<Double>, _ convolution: Convolution
  ) -> Tensor<Double> {
    precondition(weight.shape == convolution.kernelShape)
    precondition(input.shape[0] == convolution.inputChannels)
    let window = convolution.window
    let extents = Array(input.shape.dropFirst())
    let kernel = convolution.spatialExtents
    let outputExtents = window.outputExtents(input: extents, kernel: kernel)
    let before = extents.indices.map {
      window.padding.amounts(
        axis: $0, input: extents[$0], kernel: kernel[$0], stride: window.stride[$0],
        dilation: window.dilation[$0]
      ).before
    }
    let (outs, ins) = (convolution.kernelShape[0], convolution.kernelShape[1])
    let outsPerGroup = outs / convolution.groups
    var result = Tensor<Double>(zeros: [convolution.outputChannels] + outputExtents)
    var position = 0
    for channel in 0..<convolution.outputChannels {
      let (block, out) = (channel / outs, channel % outs)
      let firstIn = (block * convolution.groups + out / outsPerGroup) * ins
      for y in indices(outputExtents) {
        var sum = 0.0
        for c in 0..<ins {
          for k in indices(kernel) {
            let x = y.indices.map {
              y[$0] * window.stride[$0] + k[$0] * window.dilation[$0] - before[$0]
            }
            guard zip(x, extents).allSatisfy({ $0 >= 0 && $0 < $1 }) else { continue }
            sum += weight[[out, c] + k] * input[[firstIn + c] + x]
          }
        }
        result.elements[position] = sum
        position += 1
      }
    }
    return result
  }

  private static func indices(_ extents: [Int]) -> [[Int]] {
    extents.reduce([[]]) { prefixes, extent in
      prefixes.flatMap { prefix in (0..<extent).map { prefix + [$0] } }
    }
  }
}

import Foundation
import ModelGraph
import TensorCore

/// Values at any places of an image. Operands: data (batch, channels, spatial...), places (batch, extents..., spatial axes).
struct GridSamplingComputation: Computation {
  let sampling: GridSampling

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let (data, grid) = (inputs[0], inputs[1])
    let spatial = Array(data.shape.dropFirst(2))
    let order = spatial.count
    let plane = spatial.reduce(1, *)
    let (batch, channels) = (outputShape[0], outputShape[1])
    let places = outputShape.dropFirst(2).reduce(1, *)
    let strides = Tensor<Float>.strides(of: spatial)
    var result = Value(zeros: outputShape)
    guard plane > 0 else { return result }
    for sample in 0..<batch {
      for place in 0..<places {
        let first = (sample * places + place) * order
        // The grid names the last axis first.
        let axes = (0..<order).map { axis in
          taps(at: grid.elements[first + order - 1 - axis], extent: spatial[axis])
        }
        var cells = [(offset: 0, weight: Float(1))]
        for (axis, taps) in axes.enumerated() {
          cells = cells.flatMap { cell in
            taps.map { (cell.offset + $0.place * strides[axis], cell.weight * $0.weight) }
          }
        }
        for channel in 0..<channels {
          let source = (sample * channels + channel) * plane
          var sum: Float = 0
          for cell in cells { sum += cell.weight * data.elements[source + cell.offset] }
          result.elements[(sample * channels + channel) * places + place] = sum
        }
      }
    }
    return result
  }

  /// The elements of an axis that a place from -1 to 1 shows; those outside count as 0 and are left out.
  private func taps(at place: Float, extent: Int) -> [(place: Int, weight: Float)] {
    let length = Float(extent)
    var x = sampling.alignsCorners ? (place + 1) / 2 * (length - 1) : ((place + 1) * length - 1) / 2
    if sampling.method == .nearest { x.round(.toNearestOrEven) }
    let (low, high): (Float, Float) = sampling.alignsCorners ? (0, length - 1) : (-0.5, length - 0.5)
    // The cubic kernel's elements are brought inside one by one, as runtimes do.
    if !(low...high).contains(x), sampling.method != .cubic {
      switch sampling.border {
      case .zeros: break
      case .border: x = min(max(x, 0), length - 1)
      case .reflection: x = reflected(x, low, high)
      }
    }
    guard x.isFinite, abs(x) < 0x1p30 else { return [] }
    let floor = x.rounded(.down)
    let t = x - floor
    let weights: [Float]
    let start: Int
    switch sampling.method {
    case .nearest: (start, weights) = (Int(x.rounded(.toNearestOrEven)), [1])
    case .linear: (start, weights) = (Int(floor), [1 - t, t])
    case .cubic:
      let a: Float = -0.75
      func near(_ s: Float) -> Float { ((a + 2) * s - (a + 3)) * s * s + 1 }
      func far(_ s: Float) -> Float { ((a * s - 5 * a) * s + 8 * a) * s - 4 * a }
      (start, weights) = (Int(floor) - 1, [far(t + 1), near(t), near(1 - t), far(2 - t)])
    }
    return weights.enumerated().compactMap { index, weight in
      inside(start + index, extent: extent, low, high).map { ($0, weight) }
    }
  }

  private func inside(_ place: Int, extent: Int, _ low: Float, _ high: Float) -> Int? {
    if (0..<extent).contains(place) { return place }
    switch sampling.border {
    case .zeros: return nil
    case .border: return min(max(place, 0), extent - 1)
    case .reflection: return min(max(Int(reflected(Float(place), low, high)), 0), extent - 1)
    }
  }

  /// The place in the mirror image that repeats between two borders.
  private func reflected(_ x: Float, _ low: Float, _ high: Float) -> Float {
    let range = high - low
    guard range > 0, x.isFinite else { return low == -0.5 ? 0 : low }
    let distance = x < low ? low - x : x - high
    let turns = (distance / range).rounded(.down)
    let rest = distance - turns * range
    let isEven = turns.truncatingRemainder(dividingBy: 2) == 0
    return (x < low) == isEven ? low + rest : high - rest
  }
}

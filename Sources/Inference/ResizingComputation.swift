import Foundation
import ModelGraph
import TensorCore

/// Samples every axis whose extent or factor changes, one axis after the other. Operands: data, factors or extents.
struct ResizingComputation: Computation {
  let resizing: Resizing

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let sizes = inputs[1].elements
    var value = inputs[0]
    for axis in outputShape.indices {
      let extent = value.shape[axis]
      let factor =
        resizing.size == .factors ? Double(sizes[axis]) : Double(outputShape[axis]) / Double(max(1, extent))
      if extent == outputShape[axis], factor == 1 { continue }
      value = resample(value, axis, to: outputShape[axis], factor: factor)
    }
    return value
  }

  private func resample(_ value: Value, _ axis: Int, to count: Int, factor: Double) -> Value {
    let extent = value.shape[axis]
    let inner = value.shape[(axis + 1)...].reduce(1, *)
    let outer = value.shape[..<axis].reduce(1, *)
    var shape = value.shape
    shape[axis] = count
    let allTaps = (0..<count).map {
      taps(at: coordinate($0, extent: extent, count: count, factor: factor), extent: extent)
    }
    let source = value.elements.span
    var result = Value(zeros: shape)
    var target = result.elements.mutableSpan
    for line in 0..<outer {
      for (place, taps) in allTaps.enumerated() {
        let to = (line * count + place) * inner
        if taps.count == 1 {
          copyRun(source, at: (line * extent + taps[0].place) * inner, to: &target, at: to, count: inner)
          continue
        }
        for tap in taps {
          let from = (line * extent + tap.place) * inner
          let weight = Float(tap.weight)
          for i in 0..<inner { target[to + i] += weight * source[from + i] }
        }
      }
    }
    return result
  }

  /// The place in the input that an output place shows.
  private func coordinate(_ place: Int, extent: Int, count: Int, factor: Double) -> Double {
    let x = Double(place)
    switch resizing.coordinates {
    case .halfPixel: return (x + 0.5) / factor - 0.5
    case .pytorchHalfPixel: return count > 1 ? (x + 0.5) / factor - 0.5 : 0
    case .asymmetric: return x / factor
    case .alignCorners: return count > 1 ? x * Double(extent - 1) / Double(count - 1) : 0
    }
  }

  private func taps(at x: Double, extent: Int) -> [(place: Int, weight: Double)] {
    func inside(_ place: Int) -> Int { min(max(place, 0), extent - 1) }
    switch resizing.method {
    case .nearest(let rounding):
      let place =
        switch rounding {
        case .preferFloor: (x - 0.5).rounded(.up)
        case .preferCeiling: (x + 0.5).rounded(.down)
        case .floor: x.rounded(.down)
        case .ceiling: x.rounded(.up)
        }
      return [(inside(Int(place)), 1)]
    case .linear:
      let lower = x.rounded(.down)
      let weight = x - lower
      return [(inside(Int(lower)), 1 - weight), (inside(Int(lower) + 1), weight)]
    case .cubic(let a, let excludesOutside):
      let lower = x.rounded(.down)
      let t = x - lower
      func near(_ s: Double) -> Double { ((a + 2) * s - (a + 3)) * s * s + 1 }
      func far(_ s: Double) -> Double { ((a * s - 5 * a) * s + 8 * a) * s - 4 * a }
      let weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
      var taps = weights.enumerated().map { (place: Int(lower) - 1 + $0, weight: $1) }
      if excludesOutside {
        taps = taps.filter { (0..<extent).contains($0.place) }
        let total = taps.reduce(0) { $0 + $1.weight }
        return taps.map { ($0.place, $0.weight / total) }
      }
      return taps.map { (inside($0.place), $0.weight) }
    }
  }
}

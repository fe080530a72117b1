import Foundation
import ModelGraph
import TensorCore

/// Samples every axis whose extent or factor changes, one axis after the other. Operands: data, factors or extents.
struct ResizingComputation: Computation {
  let resizing: Resizing

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs[0]
    let sizes = try resizing.sizes(of: value.shape, inputs[1].elements.map { Double($0) })
    for axis in outputShape.indices {
      let factor = sizes[axis].factor ?? 1
      if value.shape[axis] == outputShape[axis], factor == 1, region(of: axis, rank: outputShape.count) == nil {
        continue
      }
      value = resample(value, axis, to: outputShape[axis], factor: factor)
    }
    return value
  }

  /// The part of an axis that the result shows; nil for all of it.
  private func region(of axis: Int, rank: Int) -> Resizing.ClosedRegion? {
    guard resizing.coordinates == .crop else { return nil }
    let places = resizing.axes?.map { $0.normalizedAxis(rank: rank) } ?? Array(0..<rank)
    return places.firstIndex(of: axis).flatMap { resizing.region.indices.contains($0) ? resizing.region[$0] : nil }
  }

  private func resample(_ value: Value, _ axis: Int, to count: Int, factor: Double) -> Value {
    let extent = value.shape[axis]
    let inner = value.shape[(axis + 1)...].reduce(1, *)
    let outer = value.shape[..<axis].reduce(1, *)
    var shape = value.shape
    shape[axis] = count
    let region = region(of: axis, rank: shape.count)
    let allTaps = (0..<count).map { place -> [(place: Int, weight: Double)] in
      let x = coordinate(place, extent: extent, count: count, factor: factor, region)
      let isOutside = resizing.coordinates == .crop && !(0...Double(extent - 1)).contains(x)
      return isOutside
        ? [] : resizing.antialiases && factor < 1 ? wideTaps(at: x, extent, factor) : taps(at: x, extent: extent)
    }
    let outside = Float(resizing.outside)
    let source = value.elements.span
    var result = Value(zeros: shape)
    var target = result.elements.mutableSpan
    for line in 0..<outer {
      for (place, taps) in allTaps.enumerated() {
        let to = (line * count + place) * inner
        if taps.isEmpty {
          fillRun(&target, at: to, count: inner, with: outside)
          continue
        }
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
  private func coordinate(
    _ place: Int, extent: Int, count: Int, factor: Double, _ region: Resizing.ClosedRegion?
  ) -> Double {
    // In single precision, as runtimes do, where factors are: ties between two elements must be the same.
    let x = Double(place)
    func scaled(_ x: Float) -> Double { Double(x / Float(factor)) }
    switch resizing.coordinates {
    case .halfPixelSymmetric:
      // The rest of the extent that rounding takes away or adds lies on both sides.
      let offset = Double(extent) / 2 * (1 - Double(count) / (factor * Double(extent)))
      return offset + scaled(Float(place) + 0.5) - 0.5
    case .crop:
      guard let region else { return scaled(Float(place)) }
      let last = Double(extent - 1)
      return count > 1
        ? region.start * last + x * (region.end - region.start) * last / Double(count - 1)
        : 0.5 * (region.start + region.end) * last
    case .halfPixel: return scaled(Float(place) + 0.5) - 0.5
    case .pytorchHalfPixel: return count > 1 ? scaled(Float(place) + 0.5) - 0.5 : 0
    case .asymmetric: return scaled(Float(place))
    case .alignCorners: return count > 1 ? x * Double(extent - 1) / Double(count - 1) : 0
    }
  }

  /// The kernel stretched over as many elements as one step of the output passes.
  private func wideTaps(at x: Double, _ extent: Int, _ factor: Double) -> [(place: Int, weight: Double)] {
    let (reach, kernel): (Double, (Double) -> Double)
    switch resizing.method {
    case .nearest: return taps(at: x, extent: extent)
    case .linear: (reach, kernel) = (1, { max(0, 1 - abs($0)) })
    case .cubic(let a, _):
      reach = 2
      kernel = { place in
        let s = abs(place)
        return s <= 1 ? ((a + 2) * s - (a + 3)) * s * s + 1 : s < 2 ? ((a * s - 5 * a) * s + 8 * a) * s - 4 * a : 0
      }
    }
    let range = Int((x - reach / factor).rounded(.down))...Int((x + reach / factor).rounded(.up))
    var taps = range.map { (place: $0, weight: kernel((Double($0) - x) * factor)) }
    if resizing.excludesOutside { taps = taps.filter { (0..<extent).contains($0.place) } }
    let total = taps.reduce(0) { $0 + $1.weight }
    return taps.map { (min(max($0.place, 0), extent - 1), $0.weight / total) }
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

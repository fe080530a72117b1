import ModelGraph

/// What all dilations of a layer and of its stages are multiples of, axis by axis. Taken out of them, it changes nothing but the
/// zeros between the taps, so that a check need not hold these.
public struct SharedDilation: Sendable, Equatable {
  /// One for each spatial axis, at least 1.
  let divisors: [Int]

  /// The largest divisors that the windows share. The dilation of a window with one tap along an axis says nothing.
  public init(of layer: Convolution, _ stages: [Stage]) {
    let windows = ([layer] + stages.convolutions).filter { $0.spatialOrder == layer.spatialOrder }
    divisors = layer.spatialExtents.indices.map { axis in
      let shared = windows.reduce(0) { divisor, convolution in
        convolution.spatialExtents[axis] > 1 ? Self.gcd(divisor, convolution.window.dilation[axis]) : divisor
      }
      return max(1, shared)
    }
  }

  private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

  /// The dilation of a window without the shared part.
  func rest(of convolution: Convolution) -> [Int] {
    divisors.indices.map { axis in
      convolution.spatialExtents[axis] > 1 ? convolution.window.dilation[axis] / divisors[axis] : 1
    }
  }

  /// A layer and its stages with the shared part taken out of every dilation, and of stated paddings as nearly as whole numbers
  /// allow: the stages compute what the layer computes exactly if they did so before.
  public func removed(from layer: Convolution, _ stages: [Stage]) -> (layer: Convolution, stages: [Stage]) {
    var layer = layer
    // Where the stages pad by stated amounts the layer does too.
    let areStated = stages.convolutions.contains { if case .explicit = $0.window.padding { true } else { false } }
    if areStated {
      let amounts = divisors.indices.map { axis in
        layer.window.padding.amounts(
          axis: axis, input: 1, kernel: layer.spatialExtents[axis], stride: 1, dilation: layer.window.dilation[axis])
      }
      layer.window.padding = .explicit(before: amounts.map(\.before), after: amounts.map(\.after))
    }
    return (
      removed(from: layer),
      stages.map { stage in
        guard case .convolution(let convolution) = stage else { return stage }
        return .convolution(removed(from: convolution))
      }
    )
  }

  private func removed(from convolution: Convolution) -> Convolution {
    guard convolution.spatialOrder == divisors.count else { return convolution }
    var result = convolution
    result.window.dilation = rest(of: convolution)
    if case .explicit(let before, let after) = convolution.window.padding {
      func part(_ amounts: [Int]) -> [Int] { divisors.indices.map { (amounts[$0] + divisors[$0] - 1) / divisors[$0] } }
      result.window.padding = .explicit(before: part(before), after: part(after))
    }
    return result
  }
}

import ModelGraph
import TensorCore

/// The steps in which a layer computes with its factors, before the layer's window is laid over them.
public struct Lowering: Sendable, Equatable {
  public enum Step: Sendable, Equatable {
    /// A convolution whose kernel is `factor`, its axes (digits, ranks) permuted by `order` and reshaped.
    case convolution(kernelShape: [Int], groups: Int = 1, batch: Int = 1, factor: Int, order: [Int])
    /// See `Stage.permutation`.
    case permutation(axes: [Int], order: [Int])
  }

  public let steps: [Step]

  public init(_ steps: [Step]) { self.steps = steps }

  /// The stages of a layer with this window, or nil where the window cannot be divided among the steps.
  ///
  /// - Parameter biasChannels: the output channels of a layer that has a bias.
  public func stages(window: Window, biasChannels: Int?) -> [Stage]? {
    let extents = steps.compactMap { step -> [Int]? in
      if case .convolution(let shape, _, _, _, _) = step { Array(shape.dropFirst(2)) } else { nil }
    }
    guard let windows = window.divided(among: extents) else { return nil }
    var rest = windows[...]
    var stages: [Stage] = []
    for step in steps {
      switch step {
      case .convolution(let shape, let groups, let batch, _, _):
        guard let window = rest.popFirst() else { return nil }
        stages.append(
          .convolution(Convolution(kernelShape: shape, groups: groups, batch: batch, window: window)))
      case .permutation(let axes, let order):
        // A permutation that moves extents of 1 only changes nothing.
        let moved = order.filter { axes[$0] > 1 }
        if moved != moved.sorted() { stages.append(.permutation(axes: axes, order: order)) }
      }
    }
    if let biasChannels { stages.append(.bias(channels: biasChannels)) }
    return stages
  }

  /// The weights of the convolutions, in the stages' order.
  public func weights(of factorization: Factorization) -> [Tensor<Double>] {
    steps.compactMap { step in
      guard case .convolution(let shape, _, _, let factor, let order) = step else { return nil }
      return factorization.factors[factor].permuted(order).reshaped(shape)
    }
  }

  /// The inverse of `weights`: what a written layer stands for.
  ///
  /// - Precondition: the weights have the shapes of the steps.
  public func factorization(
    of pattern: FactorPattern, weights: [Tensor<Double>]
  ) -> Factorization {
    var factors = pattern.shapes.indices.map { Tensor<Double>(zeros: pattern.factorShape($0)) }
    var rest = weights[...]
    for case .convolution(let shape, _, _, let factor, let order) in steps {
      guard let weight = rest.popFirst() else { break }
      precondition(weight.shape == shape, "\(weight.shape) is not \(shape)")
      factors[factor] = weight.reshaped(order.map { pattern.factorShape(factor)[$0] })
        .permuted(order.inversePermutation)
    }
    return Factorization(pattern, factors: factors)
  }

  /// Multiply-accumulates per output position without stride.
  var macsPerPosition: Int {
    steps.reduce(0) { total, step in
      guard case .convolution(let shape, _, let batch, _, _) = step else { return total }
      return total + batch * shape.reduce(1, *)
    }
  }
}

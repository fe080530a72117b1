import ModelGraph
import TensorCore

/// The steps in which a layer computes with its factors, before the layer's window is laid over them.
public struct Lowering: Sendable, Equatable {
  /// One step: a convolution with a factor, or another order of the channels.
  public enum Step: Sendable, Equatable {
    /// A convolution whose kernel is a factor.
    case convolution(FactorConvolution)
    /// See `Stage.permutation`.
    case permutation(axes: [Int], order: [Int])
  }

  /// A convolution whose kernel is a factor.
  public struct FactorConvolution: Sendable, Equatable {
    /// The position of the factor.
    public let factor: Int
    /// The shape of the kernel, as in `Convolution`.
    public let kernelShape: [Int]
    /// See `Convolution.groups`.
    public let groups: Int
    /// See `Convolution.batch`.
    public let batch: Int
    /// The factor's axes (digits, ranks) in the order in which the kernel has them.
    package let order: [Int]
    /// The output channel of every element of the factor, counted among those of one of the layer's groups.
    ///
    /// - Parameter shape: of the factor.
    package func channels(ofShape shape: [Int]) -> [Int] {
      let turned = order.map { shape[$0] }
      let perChannel = max(1, kernelShape.dropFirst().reduce(1, *))
      let count = shape.reduce(1, *)
      let channels = Tensor<Double>(shape: turned, elements: (0..<count).map { Double($0 / perChannel) })
      return channels.permuted(order.inversePermutation).elements.map { Int($0) }
    }

    /// For each spatial axis, how far apart the digit's values stand.
    let significance: [Int]
  }

  /// The factors whose product the layer computes with.
  public let pattern: FactorPattern
  /// The layer's own groups, each with factors of its own.
  public let groups: Int
  /// The steps, in the order in which they run.
  public let steps: [Step]

  init(pattern: FactorPattern, groups: Int, steps: [Step]) {
    self.pattern = pattern
    self.groups = groups
    self.steps = steps
  }

  /// The convolutions among the steps, in their order.
  public var convolutions: [FactorConvolution] {
    steps.compactMap { if case .convolution(let convolution) = $0 { convolution } else { nil } }
  }

  /// The stages of a layer with this window, or nil where the window cannot be divided among the steps.
  ///
  /// - Parameters:
  ///   - transposition: Of a transposed layer. The step that has the layer's spatial extents is transposed like the layer; the others are
  ///     the same at every position, which makes no difference between the two.
  ///   - biasChannels: the output channels of a layer that has a bias.
  public func stages(
    window: Window, transposition: Convolution.Transposition? = nil, biasChannels: Int?
  ) -> [Stage]? {
    guard transposition == nil || canTranspose,
      let windows = window.divided(
        among: convolutions.map { Array($0.kernelShape.dropFirst(2)) },
        significance: convolutions.map(\.significance))
    else { return nil }
    var rest = windows[...]
    var stages: [Stage] = []
    for step in steps {
      switch step {
      case .convolution(let own):
        guard let window = rest.popFirst() else { return nil }
        let isPointwise = window == .unit(window.stride.count) && own.kernelShape.dropFirst(2).allSatisfy { $0 == 1 }
        stages.append(
          .convolution(
            Convolution(
              kernelShape: own.kernelShape, groups: own.groups, batch: own.batch, window: window,
              transposition: isPointwise ? nil : transposition?.of(extents: own.kernelShape.dropFirst(2), window))))
      case .permutation(let axes, let order):
        stages.append(.permutation(axes: axes, order: order))
      }
    }
    if let biasChannels { stages.append(.bias(channels: biasChannels)) }
    return stages
  }

  /// Whether transposed convolutions can compute the steps: these know no weight that channels share, no groups but those of single
  /// channels, and each axis belongs to one of them.
  private var canTranspose: Bool {
    let order = (convolutions.first?.kernelShape.count ?? 2) - 2
    let owners = (0..<order).map { axis in convolutions.count { $0.kernelShape[axis + 2] > 1 } }
    return owners.allSatisfy { $0 <= 1 }
      && convolutions.allSatisfy { own in
        own.batch == 1
          && (own.groups == 1 || own.kernelShape[1] == 1 || own.kernelShape.dropFirst(2).allSatisfy { $0 == 1 })
      }
  }

  /// The weights of the convolutions, in the stages' order.
  ///
  /// - Parameter factorizations: one for each of the layer's groups.
  public func weights(of factorizations: [Factorization]) -> [Tensor<Double>] {
    convolutions.map { own in
      let parts = factorizations.map { $0.factors[own.factor].permuted(own.order).elements }
      // One group's weight is the factor itself, which can be large.
      return Tensor(shape: own.kernelShape, elements: parts.count == 1 ? parts[0] : Array(parts.joined()))
    }
  }

  /// The inverse of `weights`: what a written layer stands for.
  ///
  /// - Precondition: the weights have the shapes of the steps.
  public func factorizations(of weights: [Tensor<Double>]) -> [Factorization] {
    (0..<groups).map { group in
      var factors = pattern.shapes.indices.map { Tensor<Double>(zeros: pattern.factorShape($0)) }
      for (own, weight) in zip(convolutions, weights) {
        precondition(weight.shape == own.kernelShape, "\(weight.shape) is not \(own.kernelShape)")
        let count = weight.count / groups
        factors[own.factor] = Tensor(
          shape: own.order.map { pattern.factorShape(own.factor)[$0] },
          elements: Array(weight.elements[group * count..<(group + 1) * count])
        ).permuted(own.order.inversePermutation)
      }
      return Factorization(pattern, factors: factors)
    }
  }

  /// Multiply-accumulates per output position without stride.
  public var macsPerPosition: Int {
    convolutions.reduce(0) { $0 + $1.batch * $1.kernelShape.reduce(1, *) }
  }
}

extension Convolution.Transposition {
  /// The part of a transposition that falls to a step with these spatial extents: output padding goes where the stride goes.
  fileprivate func of(extents: some Collection<Int>, _ window: Window) -> Convolution.Transposition {
    Convolution.Transposition(
      outputPadding: outputPadding.map { amounts in
        zip(amounts, zip(extents, window.stride)).map { amount, own in own.0 > 1 || own.1 > 1 ? amount : 0 }
      })
  }
}

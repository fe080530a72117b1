import TensorCore

/// One step of a factored layer. A structure lowers to a list of stages once; the engine runs that list, the
/// checkpoint writers print it in stock layers, the cost model counts it.
///
/// A stage sees the channel axis only; the spatial axes pass through, and the layout (channels first or last) is the
/// business of whoever runs or writes it.
public enum Stage: Sendable, Equatable {
  /// Takes the next weight of the factored layer. See `Convolution.batch` for what makes factored stages special.
  case convolution(Convolution)
  /// Sees the channel axis as `axes` (outermost first) and puts these in another order: new axis n is old axis `order[n]`.
  case permutation(axes: [Int], order: [Int])
  /// Adds the layer's bias. Present only for a layer that has one, exactly once.
  case bias(channels: Int)
}

extension Stage {
  /// The weights that the stage stores.
  public var parameterCount: Int {
    switch self {
    case .convolution(let convolution): convolution.parameterCount
    case .permutation: 0
    case .bias(let channels): channels
    }
  }
}

extension [Stage] {
  /// The convolutions among the stages, in their order.
  public var convolutions: [Convolution] {
    compactMap { if case .convolution(let convolution) = $0 { convolution } else { nil } }
  }

  /// For each convolution whether its output channels have scales where its weights are integers.
  ///
  /// They have none where a convolution that works on each of these channels by itself comes right behind: its scales stand for both, and
  /// what is before it takes `RoundedTensor.impliedScale`.
  public var hasScales: [Bool] {
    indices.compactMap { index in
      guard case .convolution(let own) = self[index] else { return nil }
      guard index + 1 < count, case .convolution(let next) = self[index + 1] else { return true }
      let channels = own.kernelShape[0]
      return
        !(next.groups == channels && next.kernelShape[0] == channels && next.kernelShape[1] == 1
        && next.batch == own.batch && next.transposition == nil)
    }
  }

  /// Whether the stages add a bias.
  public var hasBias: Bool { contains { if case .bias = $0 { true } else { false } } }

  /// The weights that the stages store, the bias included.
  public var parameterCount: Int { reduce(0) { $0 + $1.parameterCount } }

  /// The bytes of all weights and biases, without headers.
  ///
  /// - Parameters:
  ///   - dtype: the layer's own type, which biases keep.
  ///   - storage: how weights are stored.
  ///   - scaleType: the type of the scales of integers, one for each output channel of a convolution that has some.
  public func byteCount(_ dtype: DType, _ storage: WeightStorage, scaleType: DType) -> Int {
    let scaled = zip(convolutions, hasScales).filter(\.1).reduce(0) { $0 + $1.0.kernelShape[0] }
    return reduce(storage.hasScaleOfEachChannel ? scaled * scaleType.bits / 8 : 0) { sum, stage in
      switch (stage, storage) {
      case (.convolution(let convolution), .integers(let width)):
        sum + RoundedTensor.packedCount(convolution.parameterCount, width)
      case (.convolution(let convolution), .levels(let width)):
        sum + RoundedTensor.packedCount(convolution.parameterCount, width)
      case (.convolution, .float), (.bias, _), (.permutation, _): sum + stage.parameterCount * dtype.bits / 8
      }
    }
  }

  /// Multiply-accumulates for one sample with these spatial input extents.
  public func macs(inputExtents: [Int]) -> Int {
    var extents = inputExtents
    return convolutions.reduce(0) { total, convolution in
      let inputs = extents
      extents = convolution.outputExtents(input: extents)
      return total + convolution.macsPerPosition * (convolution.transposition == nil ? extents : inputs).reduce(1, *)
    }
  }

  /// The largest state between two stages in elements, for one sample with these spatial input extents: the input
  /// and the output of the stages included.
  public func peakStateCount(inputExtents: [Int]) -> Int {
    var extents = inputExtents
    var peak = 0
    for convolution in convolutions {
      peak = Swift.max(peak, convolution.inputChannels * extents.reduce(1, *))
      extents = convolution.outputExtents(input: extents)
      peak = Swift.max(peak, convolution.outputChannels * extents.reduce(1, *))
    }
    return peak
  }
}

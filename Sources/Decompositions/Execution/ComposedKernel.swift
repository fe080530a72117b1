import ModelGraph
import TensorCore

/// The dense kernel that a list of stages computes: their composition, whatever structure they come from. It ties the
/// promises of a plan to the weights that a file really holds.
///
/// A kernel can be larger than all that the program else holds. So it is composed for some input channels at a time.
public struct ComposedKernel: Sendable {
  /// The dense convolution that the stages replace.
  public let layer: Convolution
  private let steps: [Response.Step]
  /// The taps of the layer stand as far apart as this where the dilation that the stages share is taken out.
  private let dilation: [Int]
  /// The most elements that one input channel becomes between two stages.
  private let widest: Int

  /// The elements of one state: a slice takes three times as much while it is composed.
  private static let sliceElements = 1 << 19
  /// What one input channel becomes in any network is far less.
  private static let mostElements = 1 << 27

  /// Prepares the composition.
  ///
  /// - Parameters:
  ///   - stages: of one layer.
  ///   - weights: one for each convolution, of its `kernelShape`.
  ///   - layer: the dense convolution that the stages replace.
  /// - Returns: nil where the stages do not compose to the layer's shape.
  public init?(_ stages: [Stage], weights: [Tensor<Double>], layer: Convolution) {
    guard layer.batch == 1, stages.convolutions.allSatisfy({ $0.spatialOrder == layer.spatialOrder }) else {
      return nil
    }
    let shared = SharedDilation(of: layer, stages)
    dilation = shared.rest(of: layer)
    self.layer = layer
    var steps: [Response.Step] = []
    var channels = layer.inputChannels
    var extents = layer.spatialExtents.map { _ in 1 }
    let wanted = Self.reach(of: layer, dilation)
    var widest = 1
    var remaining = weights[...]
    for stage in stages {
      switch stage {
      case .convolution(let convolution):
        guard let weight = remaining.popFirst(), weight.shape == convolution.kernelShape,
          convolution.inputChannels == channels
        else { return nil }
        let own = shared.rest(of: convolution)
        channels = convolution.outputChannels
        let reach = Self.reach(of: convolution, own)
        extents = extents.indices.map { extents[$0] + reach[$0] - 1 }
        // What reaches farther than the layer is no kernel of its shape, and might not fit any memory.
        guard zip(extents, wanted).allSatisfy({ $0 <= $1 }),
          let count = ([channels] + extents).productIfExact, count <= Self.mostElements
        else { return nil }
        widest = max(widest, count)
        steps.append(.convolution(convolution, dilation: own, tapMajor: Response.tapMajor(weight, convolution)))
      case .permutation(let axes, let order):
        guard axes.reduce(1, *) == channels, order.sorted() == Array(axes.indices) else { return nil }
        steps.append(.permutation(axes: axes, order: order))
      case .bias: break
      }
    }
    guard remaining.isEmpty, channels == layer.outputChannels, extents == wanted else { return nil }
    self.steps = steps
    self.widest = max(widest, layer.outputChannels * layer.spatialExtents.reduce(1, *))
  }

  /// How far the taps of a window reach, both ends included.
  private static func reach(of convolution: Convolution, _ dilation: [Int]) -> [Int] {
    dilation.indices.map { (convolution.spatialExtents[$0] - 1) * dilation[$0] + 1 }
  }

  /// Ranges that make up the input channels, each small enough to compose in little memory.
  public var slices: [Range<Int>] {
    let count = layer.inputChannels
    let size = max(1, Self.sliceElements / widest)
    return stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }

  /// The kernel for some input channels: (out, range, spatial...), zero where an output's group does not have the input.
  ///
  /// - Returns: nil where the response reaches outside of a group.
  public func slice(_ inputs: Range<Int>) -> Tensor<Double>? {
    var response = Response(inputs)
    for step in steps { response = response.followed(by: step) }
    return response.kernel(layer, dilation)
  }

  /// The kernel (out, in / groups, spatial...).
  ///
  /// - Returns: nil where the response reaches outside of a group.
  public func whole() -> Tensor<Double>? {
    var kernel = [Double](repeating: 0, count: layer.parameterCount)
    for inputs in slices {
      guard let slice = slice(inputs) else { return nil }
      let own = slice.elements
      layer.forEachRun(of: inputs) { place, from, count in
        for i in 0..<count { kernel[place + i] = own[from + i] }
      }
    }
    return Tensor(shape: layer.kernelShape, elements: kernel)
  }

  /// The squared distance of a slice from the same part of a kernel (out, in / groups, spatial...), and that part's squared norm.
  public func squaredDistance<Scalar>(
    _ slice: Tensor<Double>, of inputs: Range<Int>, from kernel: Tensor<Scalar>
  ) -> (distance: Double, norm: Double) {
    precondition(kernel.shape == layer.kernelShape, "\(kernel.shape) is not \(layer.kernelShape)")
    let (ours, theirs) = (slice.elements.span, kernel.elements.span)
    var (sum, norm) = (0.0, 0.0)
    layer.forEachRun(of: inputs) { place, from, count in
      for i in 0..<count {
        let value = Double(theirs[place + i])
        let difference = ours[from + i] - value
        sum += difference * difference
        norm += value * value
      }
    }
    return (sum, norm)
  }

  /// Composes the whole kernel at once.
  ///
  /// - Returns: the kernel (out, in, spatial...) of `layer.kernelShape`; nil where the stages do not compose to that shape.
  public static func compose(
    _ stages: [Stage], weights: [Tensor<Double>], layer: Convolution
  ) -> Tensor<Double>? {
    ComposedKernel(stages, weights: weights, layer: layer)?.whole()
  }
}

extension Convolution {
  /// Calls `body` for stretches of neighbouring elements that a kernel and a slice of it for some input channels share: where the
  /// stretch begins in the kernel and in the slice, and how long it is.
  fileprivate func forEachRun(of inputs: Range<Int>, _ body: (_ kernel: Int, _ slice: Int, _ count: Int) -> Void) {
    let taps = spatialExtents.reduce(1, *)
    let (outputs, perGroup) = (kernelShape[0] / groups, kernelShape[1])
    for channel in 0..<kernelShape[0] {
      let own = channel / outputs * perGroup
      let part = inputs.clamped(to: own..<own + perGroup)
      guard !part.isEmpty else { continue }
      body(
        (channel * perGroup + part.lowerBound - own) * taps,
        (channel * inputs.count + part.lowerBound - inputs.lowerBound) * taps, part.count * taps)
    }
  }
}

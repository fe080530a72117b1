import Basics
import Inference
import ModelGraph
import TensorCore

/// How a node's output gradient becomes those of its operands.
enum Adjoint: Sendable {
  /// Another convolution with the same kernel.
  case convolution(Convolution, ChannelLayout, kernel: Tensor<Float>)
  /// Every channel along an axis is multiplied by a number.
  case channelScale(axis: Int, [Float])
  /// A function of each element by itself.
  case elementwise
  /// The exponentials' shares along the last axis.
  case softmax
  /// All operands get the gradient times a number of their own.
  case sum([Float])
  case product
  case pooling(Pooling)
  case globalAverage(ChannelLayout)
  /// Every output element is a copy of one element of the first operand, or a constant.
  case selection
  case unknown

  /// Half the distance over which a slope is measured, as a part of the element or of 1: where single precision's rounding and the
  /// function's curvature do least harm, which is the cube root of the rounding.
  private static let step: Float = 5e-3

  init(_ node: Node, constantOperands: Int, _ parameter: (TensorReference) throws -> Tensor<Float>) throws {
    let count = node.inputs.count
    switch node.operation {
    case .convolution(let convolution, let layout, let kernel, _) where convolution.batch == 1:
      self = .convolution(convolution, layout, kernel: try parameter(kernel))
    case .batchNormalization(let axis, _, _, _, _, _):
      self = try node.operation.normalizationScale(parameter).map { .channelScale(axis: axis, $0) } ?? .unknown
    case .scaling(let scale, _): self = .channelScale(axis: -1, scale)
    case .bias, .identity: self = .sum([1])
    case .activation(.softmax(let axis)): self = axis == -1 ? .softmax : .unknown
    case .activation(.linear): self = .sum([1])
    case .activation(let activation): self = activation.isOfElements ? .elementwise : .unknown
    case .array(.function): self = constantOperands == 0 ? .elementwise : .unknown
    case .merge(.add): self = .sum(Array(repeating: 1, count: count))
    case .merge(.subtract): self = .sum([1, -1])
    case .merge(.average): self = .sum(Array(repeating: 1 / Float(count), count: count))
    case .merge(.multiply): self = count == 2 ? .product : .unknown
    case .array(.elementwise(.add)) where constantOperands == 0: self = .sum([1, 1])
    case .array(.elementwise(.subtract)) where constantOperands == 0: self = .sum([1, -1])
    case .array(.elementwise(.multiply)) where constantOperands == 0: self = .product
    case .pooling(let pooling): self = .pooling(pooling)
    case .globalPooling(.average, let layout, _): self = .globalAverage(layout)
    case .padding, .cropping, .reshape, .permutation, .channelPermutation, .repetition: self = .selection
    case .upsampling(_, .nearest, _): self = .selection
    case .array(let operation): self = operation.isSelection && constantOperands == count - 1 ? .selection : .unknown
    default: self = .unknown
    }
  }

  /// - Parameters:
  ///   - operands: those that depend on the network's inputs.
  ///   - run: the node itself on other operands.
  /// - Returns: one gradient for each operand; nil where there are none.
  func apply(
    _ gradient: Tensor<Float>, _ operands: [Tensor<Float>], output: Tensor<Float>,
    run: ([Tensor<Float>]) throws -> Tensor<Float>
  ) throws -> [Tensor<Float>]? {
    switch self {
    case .convolution(let convolution, let layout, let kernel):
      return try Self.transposed(convolution, layout, kernel, gradient, inputShape: operands[0].shape).map { [$0] }
    case .channelScale(let axis, let scale):
      if scale.count == 1, let only = scale.first { return [gradient.map { $0 * only }] }
      return [gradient.combined(with: scale, along: axis) { $0 * $1 }]
    case .elementwise:
      let steps = operands[0].map { Self.step * max(1, abs($0)) }
      let above = try run([operands[0].adding(steps)])
      let below = try run([operands[0].adding(steps.map(-))])
      return [
        Tensor(
          shape: gradient.shape,
          elements: gradient.elements.indices.map {
            gradient.elements[$0] * (above.elements[$0] - below.elements[$0]) / (2 * steps.elements[$0])
          })
      ]
    case .softmax: return [gradient.throughSoftmax(output)]
    case .sum(let factors):
      guard operands.allSatisfy({ $0.shape == gradient.shape }), operands.count == factors.count else { return nil }
      return factors.map { factor in factor == 1 ? gradient : gradient.map { $0 * factor } }
    case .product:
      guard operands.count == 2, operands.allSatisfy({ $0.shape == gradient.shape }) else { return nil }
      return [gradient.multiplied(by: operands[1]), gradient.multiplied(by: operands[0])]
    case .pooling(let pooling):
      return [PoolingAdjoint(pooling, input: operands[0], output: output).apply(gradient)]
    case .globalAverage(let layout): return [gradient.spread(over: operands[0].shape, layout)]
    case .selection: return try Self.scattered(gradient, operands[0].shape, run).map { [$0] }
    case .unknown: return nil
    }
  }

  /// The gradient of a convolution's input is a transposed convolution of the output's.
  private static func transposed(
    _ convolution: Convolution, _ layout: ChannelLayout, _ kernel: Tensor<Float>, _ gradient: Tensor<Float>,
    inputShape: [Int]
  ) throws -> Tensor<Float>? {
    let reference = TensorReference("kernel")
    let operation: Operation
    var kernel = kernel
    if convolution.spatialOrder == 0 {
      guard convolution.groups == 1 else { return nil }
      kernel = kernel.permuted([1, 0])
      operation = .convolution(
        Convolution(kernelShape: kernel.shape, groups: 1, window: convolution.window), layout: layout,
        kernel: reference, bias: nil)
    } else {
      let window = convolution.window
      let places = Array(layout.spatialAxes(rank: inputShape.count))
      let borders = places.enumerated().map { axis, place in
        window.padding.amounts(
          axis: axis, input: inputShape[place], kernel: convolution.spatialExtents[axis], stride: window.stride[axis],
          dilation: window.dilation[axis])
      }
      // What the last window does not reach, because the stride leaves a rest.
      let rest = places.enumerated().map { axis, place in
        let reach = (convolution.spatialExtents[axis] - 1) * window.dilation[axis] + 1
        return inputShape[place] + borders[axis].before + borders[axis].after - reach
          - (gradient.shape[place] - 1) * window.stride[axis]
      }
      operation = .transposedConvolution(
        TransposedConvolution(
          kernelShape: kernel.shape, groups: convolution.groups,
          window: Window(
            stride: window.stride, dilation: window.dilation,
            padding: .explicit(before: borders.map(\.before), after: borders.map(\.after))),
          outputPadding: rest, layout: layout, kernel: reference, bias: nil))
    }
    let graph = ModelGraph(
      inputs: [.init(name: "gradient", shape: gradient.shape.map { $0 })],
      nodes: [Node(name: "result", layer: "", operation: operation, inputs: ["gradient"])],
      outputs: [.init(name: "result", value: "result")])
    return try Engine(graph) { _ in kernel }.run(["gradient": gradient])[0]
  }

  /// Finds out where a node takes its elements from by giving it their places, and brings the gradient back there; nil for more
  /// places than single precision counts.
  private static func scattered(
    _ gradient: Tensor<Float>, _ shape: [Int], _ run: ([Tensor<Float>]) throws -> Tensor<Float>
  ) throws -> Tensor<Float>? {
    let one = [1] + shape.dropFirst()
    let size = one.reduce(1, *)
    guard size < 1 << 24, shape.first == gradient.shape.first else { return nil }
    let places = try run([Tensor(shape: one, elements: (0..<size).map { Float($0 + 1) })]).elements
    // What does not change with the input is a constant.
    let constants = try run([Tensor(shape: one, elements: Array(repeating: 0, count: size))]).elements
    let pairs = places.indices.filter { places[$0] != constants[$0] }.map { ($0, Int(places[$0]) - 1) }
    guard pairs.allSatisfy({ (0..<size).contains($0.1) }) else { return nil }
    var elements = [Float](repeating: 0, count: shape.reduce(1, *))
    for sample in 0..<(shape.first ?? 0) {
      for (from, to) in pairs { elements[sample * size + to] += gradient.elements[sample * places.count + from] }
    }
    return Tensor(shape: shape, elements: elements)
  }
}

extension Activation {
  fileprivate var isOfElements: Bool {
    switch self {
    case .softmax, .logSoftmax, .sparsemax, .glu: false
    default: true
    }
  }
}

extension ArrayOperation {
  fileprivate var isSelection: Bool {
    switch self {
    case .reshape, .flatten, .squeeze, .unsqueeze, .transpose, .expand, .tile, .slice, .gather, .part, .depthToSpace,
      .spaceToDepth:
      true
    case .pad(let mode, _): mode == .constant || mode == .edge || mode == .reflect
    default: false
    }
  }
}

extension Tensor where Scalar == Float {
  /// p * (g - sum(p * g)) along the last axis.
  fileprivate func throughSoftmax(_ output: Tensor) -> Tensor {
    let count = shape.last ?? 1
    var result = elements
    for start in stride(from: 0, to: result.count, by: max(1, count)) {
      let range = start..<start + count
      let mean = range.reduce(Float(0)) { $0 + output.elements[$1] * elements[$1] }
      for i in range { result[i] = output.elements[i] * (elements[i] - mean) }
    }
    return Tensor(shape: shape, elements: result)
  }

  /// What every position of a global average gets.
  fileprivate func spread(over shape: [Int], _ layout: ChannelLayout) -> Tensor {
    let channels = shape[layout.channelAxis(rank: shape.count)]
    let positions = shape.dropFirst().reduce(1, *) / Swift.max(1, channels)
    let part = 1 / Float(Swift.max(1, positions))
    var result = [Float](repeating: 0, count: shape.reduce(1, *))
    for sample in 0..<shape[0] {
      for channel in 0..<channels {
        let value = elements[sample * channels + channel] * part
        for position in 0..<positions {
          let place = layout == .channelsLast ? position * channels + channel : channel * positions + position
          result[sample * channels * positions + place] = value
        }
      }
    }
    return Tensor(shape: shape, elements: result)
  }
}

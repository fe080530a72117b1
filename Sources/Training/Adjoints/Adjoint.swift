import Basics
import Inference
import ModelGraph
import TensorCore

/// How the gradient of a node's output becomes those of its operands and of its weights.
protocol Adjoint: Sendable {
  /// What it looks at besides the gradient; everything else need not be kept until the way back.
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads

  func gradients(_ pass: AdjointPass) throws -> AdjointResult
}

/// The values that an adjoint looks at.
struct AdjointReads: OptionSet, Sendable {
  let rawValue: Int
  static let operands = AdjointReads(rawValue: 1)
  static let output = AdjointReads(rawValue: 2)
}

/// One node on the way back.
struct AdjointPass {
  let node: Node
  /// Of the output, in its shape.
  let gradient: Tensor<Float>
  /// Empty where the adjoint does not read them.
  let operands: [Tensor<Float>]
  let operandShapes: [[Int]]
  /// Nil where the adjoint does not read it.
  let output: Tensor<Float>?
  /// Whether somebody asks for an operand's gradient.
  let isWanted: [Bool]
  /// What a batch normalisation found in its batch; nil for others, and where it has stored statistics.
  let statistics: BatchStatistics?
  let weight: (TensorReference) throws -> Tensor<Float>
  let isTrained: (TensorReference) -> Bool

  /// The node run on other operands.
  func run(_ operands: [Tensor<Float>], outputShape: [Int]) throws -> Tensor<Float> {
    try NodeRunner(node, parameter: weight).run(operands, outputShape: outputShape)
  }
}

struct AdjointResult {
  /// One for each operand; nil where nobody asks, or where the output does not change with it.
  var operands: [Tensor<Float>?]
  var weights: [(TensorReference, Tensor<Float>)] = []
}

extension Adjoint {
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { [] }
}

extension Node {
  /// Nil for what has none here.
  var adjoint: (any Adjoint)? {
    switch operation {
    case .convolution(let convolution, let layout, let kernel, let bias):
      ConvolutionAdjoint(convolution: convolution, layout: layout, kernel: kernel, bias: bias)
    case .transposedConvolution(let convolution): TransposedConvolutionAdjoint(convolution: convolution)
    case .batchNormalization(let axis, let epsilon, let gamma, let beta, let mean, let variance):
      BatchNormalizationAdjoint(
        axis: axis, epsilon: epsilon, gamma: gamma, beta: beta, mean: mean, variance: variance)
    case .layerNormalization(let axes, let epsilon, let gamma, let beta):
      LayerNormalizationAdjoint(axes: axes, epsilon: epsilon, gamma: gamma, beta: beta)
    case .normalization(let axes, _, let variance): AxesNormalizationAdjoint(axes: axes, variance: variance)
    case .scaling(let scale, _): ScalingAdjoint(scale: scale)
    case .bias(let bias, let layout): BiasAdjoint(bias: bias, layout: layout)
    case .activation(.linear), .identity: ReshapingAdjoint()
    case .activation(let activation): activation.adjoint
    case .parametricReLU(let slopes): ParametricReLUAdjoint(slopes: slopes)
    case .pooling(let pooling): PoolingAdjoint(pooling: pooling)
    case .globalPooling(let kind, let layout, _): GlobalPoolingAdjoint(kind: kind, layout: layout)
    case .padding, .cropping: SelectionAdjoint()
    case .upsampling(_, .nearest, _): SelectionAdjoint()
    case .upsampling(_, .bilinear, _): ResizingAdjoint()
    case .reshape: ReshapingAdjoint()
    case .permutation(let order): PermutationAdjoint(order: order)
    case .channelPermutation(let axes, let order, let layout):
      ChannelPermutationAdjoint(axes: axes, order: order, layout: layout)
    case .repetition: SelectionAdjoint()
    case .merge(.concatenate(let axis)): ConcatenationAdjoint(axis: axis)
    case .merge(.dot(let axes, let normalizes)): normalizes ? nil : DotAdjoint(axes: axes)
    case .merge(let merge): merge.arithmetic.map { ArithmeticAdjoint(arithmetic: $0, beginsWithBatch: true) }
    case .array(let operation): operation.adjoint
    case .unsupported: nil
    }
  }
}

extension ArrayOperation {
  fileprivate var adjoint: (any Adjoint)? {
    switch self {
    case .constant, .parameter: ParameterAdjoint()
    case .elementwise(let kind):
      kind.arithmetic.map { ArithmeticAdjoint(arithmetic: $0, beginsWithBatch: false) } ?? kind.flatAdjoint
    case .function(let function): FunctionAdjoint(function: function)
    case .shape, .size, .filled, .range, .extremum: FlatAdjoint()
    case .reshape, .flatten, .squeeze, .unsqueeze: ReshapingAdjoint()
    case .transpose(let order): PermutationAdjoint(order: order)
    case .expand, .tile, .slice, .gather, .part, .pad, .depthToSpace, .spaceToDepth: SelectionAdjoint()
    case .concatenate(let axis): ConcatenationAdjoint(axis: axis)
    case .reduce(let kind, _, _): ReductionAdjoint(kind: kind)
    case .resize(let resizing):
      if case .nearest = resizing.method { SelectionAdjoint() } else { ResizingAdjoint() }
    case .matrixProduct: MatrixProductAdjoint()
    case .trailingSoftmax(let axis, let logarithmic):
      SharesAdjoint(kind: logarithmic ? .logSoftmax : .softmax, axes: axis, isTrailing: true)
    case .recurrent: nil
    }
  }
}

/// Nothing changes with the operands: shapes, places, signs, steps.
struct FlatAdjoint: Adjoint {
  func gradients(_ pass: AdjointPass) -> AdjointResult {
    AdjointResult(operands: pass.operandShapes.map { _ in nil })
  }
}

/// A tensor of the checkpoint that is a value of the graph.
struct ParameterAdjoint: Adjoint {
  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard case .array(.parameter(let reference, _)) = pass.node.operation, pass.isTrained(reference) else {
      return AdjointResult(operands: [])
    }
    return AdjointResult(operands: [], weights: [(reference, pass.gradient)])
  }
}

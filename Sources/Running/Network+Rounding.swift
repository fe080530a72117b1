import Inference
import ModelGraph
import TensorCore

/// What rounding does to outputs that are tiny beside the numbers that they are made of: a sigmoid's 1e-6 is exact to the rounding of 1, and
/// a difference to that of what is subtracted. Relative to themselves such outputs differ by much between two right programs.
extension Network {
  /// An output is all tiny where the rounding of single precision, beside the numbers that it is computed from, is more than this part of
  /// its largest number: the strictest limit that a relative discrepancy has.
  private static let tinyPart = 1e-4
  /// The roundings that two programs may differ by, in units of the type's roundoff.
  private static let roundings = 8.0
  /// The samples that show how large the numbers behind an output are.
  private static let looks = 4

  /// The comparison with `rounding` set where the output is all tiny.
  ///
  /// - Parameters:
  ///   - dtype: in which the framework computes; the engine has single precision.
  ///   - samples: a few of them are run to see the numbers that the output is computed from.
  /// - Throws: `Failure` where the network cannot be run.
  package func noting(
    _ comparison: OutputComparison, of output: ModelGraph.Output, on samples: Samples, dtype: DType
  ) throws -> OutputComparison {
    // The strictest limit holds without a look at the numbers behind.
    guard comparison.relativeDiscrepancy > Self.tinyPart else { return comparison }
    let magnitude = try magnitude(behind: output.value, samples)
    let leastRounding = Self.roundings * DType.f32.unitRoundoff * magnitude
    guard Self.tinyPart * comparison.largestReference <= leastRounding else { return comparison }
    var result = comparison
    result.rounding = Self.roundings * max(dtype.unitRoundoff, DType.f32.unitRoundoff) * magnitude
    return result
  }

  /// The size of the numbers that a value is computed from: 1 for a function of that range, else of what the last operation reads.
  private func magnitude(behind value: String, _ samples: Samples) throws -> Double {
    let makers = Dictionary(graph.nodes.map { ($0.name, $0) }) { first, _ in first }
    var node = makers[value]
    while let last = node, last.operation.onlyMoves, let input = last.inputs.first { node = makers[input] }
    guard let node else { return 0 }
    if node.operation.rangeIsOne { return 1 }
    // What is fused with its reader never exists by itself.
    var sources = Set(node.inputs)
    while let hidden = sources.first(where: { !engine.computes($0) }) {
      sources.remove(hidden)
      sources.formUnion(makers[hidden]?.inputs ?? [])
    }
    // One after the other where that can be: activations may be large.
    let step = samples.axes.map { $0.batch ?? 1 } ?? samples.count
    var largest: Float = 0
    for first in stride(from: 0, to: min(samples.count, max(step, Self.looks)), by: step) {
      try engine.run(samples.inputs(of: first..<first + step), observing: sources) { _, tensor in
        largest = tensor.elements.reduce(largest) { $1.isFinite ? max($0, abs($1)) : $0 }
      }
    }
    return Double(largest)
  }
}

extension Operation {
  /// Whether the output holds numbers of the first operand as they are.
  fileprivate var onlyMoves: Bool {
    switch self {
    case .identity, .reshape, .permutation, .cropping, .repetition, .channelPermutation: true
    case .array(let operation): operation.onlyMoves
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .activation, .parametricReLU,
      .pooling, .globalPooling, .padding, .upsampling, .merge, .scaling, .normalization, .bias, .unsupported:
      false
    }
  }

  /// Whether it is a function whose results are rounded as numbers around 1 are, however small they get.
  fileprivate var rangeIsOne: Bool {
    switch self {
    case .activation(let activation): activation.rangeIsOne
    case .array(.trailingSoftmax(_, let isLogarithmic)): !isLogarithmic
    case .array(.function(.hardSigmoid)): true
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .parametricReLU, .pooling,
      .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization,
      .repetition, .channelPermutation, .bias, .identity, .array, .unsupported:
      false
    }
  }
}

extension ArrayOperation {
  fileprivate var onlyMoves: Bool {
    switch self {
    case .reshape, .flatten, .squeeze, .unsqueeze, .transpose, .expand, .tile, .slice, .gather, .part, .depthToSpace,
      .spaceToDepth, .align, .gatherElements, .gatherPoints, .reverse, .triangle:
      true
    case .top(_, _, let places): !places
    case .constant, .parameter, .elementwise, .function, .shape, .size, .filled, .range, .concatenate, .pad, .reduce,
      .extremum, .resize, .matrixProduct, .trailingSoftmax, .recurrent, .convolution, .cumulativeSum, .einsum,
      .gridSample, .maximumPlace, .scatterElements, .scatterPoints:
      false
    }
  }
}

extension Activation {
  fileprivate var rangeIsOne: Bool {
    switch self {
    case .sigmoid, .tanh, .softsign, .hardSigmoidKeras2, .hardSigmoid, .hardTanh, .sparseSigmoid, .softmax, .sparsemax:
      true
    case .linear, .relu, .softplus, .exponential, .silu, .mish, .logSigmoid, .hardSilu, .tanhShrink, .sparsePlus,
      .squareplus, .elu, .celu, .selu, .gelu, .softShrink, .hardShrink, .threshold, .logSoftmax, .glu:
      false
    }
  }
}

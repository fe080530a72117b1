import Foundation
import Inference
import ModelGraph
import TensorCore

/// A function of each element by itself.
struct ActivationAdjoint: Adjoint {
  let activation: Activation

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads {
    activation.slopeFollowsFromOutput ? .output : .operands
  }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard let values = activation.slopeFollowsFromOutput ? pass.output : pass.operands.first else {
      preconditionFailure("an activation reads its output or its operand")
    }
    var result = pass.gradient.elements
    var target = result.mutableSpan
    let source = values.elements.span
    if case .relu(0, 0, nil) = activation {
      // The one that most networks have: without a call for each element, or a branch, which nobody could foresee.
      precondition(source.count == target.count)
      for i in target.indices { target[i] *= source[i] > 0 ? 1 : 0 }
    } else {
      for i in target.indices { target[i] *= activation.slope(source[i]) }
    }
    return AdjointResult(operands: [Tensor(shape: pass.gradient.shape, elements: result)])
  }
}

extension Activation {
  var adjoint: (any Adjoint)? {
    switch self {
    case .softmax(let axis): SharesAdjoint(kind: .softmax, axes: axis, isTrailing: false)
    case .logSoftmax(let axis): SharesAdjoint(kind: .logSoftmax, axes: axis, isTrailing: false)
    case .sparsemax(let axis): SharesAdjoint(kind: .sparsemax, axes: axis, isTrailing: false)
    case .glu(let axis): GatedAdjoint(axis: axis)
    case .linear, .relu, .sigmoid, .tanh, .softplus, .softsign, .exponential, .silu, .mish, .logSigmoid,
      .hardSigmoidKeras2, .hardSigmoid, .hardSilu, .hardTanh, .tanhShrink, .sparsePlus, .sparseSigmoid, .squareplus,
      .elu, .celu, .selu, .gelu, .softShrink, .hardShrink, .threshold:
      ActivationAdjoint(activation: self)
    }
  }

  /// Then the operand need not be kept.
  fileprivate var slopeFollowsFromOutput: Bool {
    switch self {
    case .relu(let slope, let threshold, _): slope == 0 && threshold == 0
    case .sigmoid, .tanh, .exponential: true
    case .linear, .softplus, .softsign, .silu, .mish, .logSigmoid, .hardSigmoidKeras2, .hardSigmoid, .hardSilu,
      .hardTanh, .tanhShrink, .sparsePlus, .sparseSigmoid, .squareplus, .elu, .celu, .selu, .gelu, .softShrink,
      .hardShrink, .threshold, .softmax, .logSoftmax, .sparsemax, .glu:
      false
    }
  }

  /// The derivative at x, or at y = f(x) where it follows from that. At a kink it is one of the slopes beside it.
  fileprivate func slope(_ x: Float) -> Float {
    switch self {
    case .linear: 1
    case .relu(0, 0, let maximum): x > 0 && x < maximum ?? .infinity ? 1 : 0
    case .relu(let slope, let threshold, let maximum): x < threshold ? slope : x < maximum ?? .infinity ? 1 : 0
    case .sigmoid: x * (1 - x)
    case .tanh: 1 - x * x
    case .exponential: x
    case .softplus: logistic(x)
    case .softsign: 1 / ((1 + abs(x)) * (1 + abs(x)))
    case .silu: logistic(x) * (1 + x * (1 - logistic(x)))
    case .mish:
      {
        let gate = tanhf(x > 20 ? x : log1pf(expf(x)))
        return gate + x * (1 - gate * gate) * logistic(x)
      }()
    case .logSigmoid: logistic(-x)
    case .hardSigmoidKeras2: abs(x) < 2.5 ? 0.2 : 0
    case .hardSigmoid: abs(x) < 3 ? 1 / 6 : 0
    case .hardSilu: x <= -3 ? 0 : x < 3 ? (2 * x + 3) / 6 : 1
    case .hardTanh: abs(x) < 1 ? 1 : 0
    case .tanhShrink: tanhf(x) * tanhf(x)
    case .sparsePlus: x <= -1 ? 0 : x < 1 ? (x + 1) / 2 : 1
    case .sparseSigmoid: abs(x) < 1 ? 0.5 : 0
    case .squareplus(let b): (1 + x / (x * x + b).squareRoot()) / 2
    case .elu(let alpha): x > 0 ? 1 : alpha * expf(x)
    case .celu(let alpha): x > 0 ? 1 : expf(x / alpha)
    case .selu: 1.050_700_987_355_480_5 * (x > 0 ? 1 : 1.673_263_242_354_377_2 * expf(x))
    case .gelu(false): 0.5 * (1 + erff(x * 0.707_106_78)) + x * 0.398_942_28 * expf(-x * x / 2)
    case .gelu(true):
      {
        let inner = 0.797_884_56 * (x + 0.044715 * x * x * x)
        let gate = tanhf(inner)
        return 0.5 * (1 + gate) + 0.5 * x * (1 - gate * gate) * 0.797_884_56 * (1 + 0.134145 * x * x)
      }()
    case .softShrink(let threshold), .hardShrink(let threshold): abs(x) > threshold ? 1 : 0
    case .threshold(let threshold, _): x > threshold ? 1 : 0
    case .softmax, .logSoftmax, .sparsemax, .glu: preconditionFailure("\(self) needs its neighbours")
    }
  }
}

private func logistic(_ x: Float) -> Float { 1 / (1 + expf(-x)) }

/// A function of each element for which there is no activation.
struct FunctionAdjoint: Adjoint {
  let function: ElementFunction

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard !function.isFlat else { return AdjointResult(operands: [nil]) }
    return AdjointResult(operands: [pass.gradient.combined(with: pass.operands[0]) { $0 * function.slope($1) }])
  }
}

extension ElementFunction {
  fileprivate var isFlat: Bool {
    switch self {
    case .sign, .floor, .ceiling, .round, .not, .isNaN, .isInfinite, .truncate, .wrap, .toBoolean: true
    case .negate, .absolute, .reciprocal, .squareRoot, .exponential, .logarithm, .erf, .sine, .cosine, .tangent,
      .arcSine, .arcCosine, .arcTangent, .hyperbolicSine, .hyperbolicCosine, .areaHyperbolicSine, .areaHyperbolicCosine,
      .areaHyperbolicTangent, .clip, .shrink, .hardSigmoid:
      false
    }
  }

  fileprivate func slope(_ x: Float) -> Float {
    switch self {
    case .negate: -1
    case .absolute: x > 0 ? 1 : x < 0 ? -1 : 0
    case .reciprocal: -1 / (x * x)
    case .squareRoot: 0.5 / x.squareRoot()
    case .exponential: expf(x)
    case .logarithm: 1 / x
    case .erf: 1.128_379_17 * expf(-x * x)
    case .sine: cosf(x)
    case .cosine: -sinf(x)
    case .tangent: 1 + tanf(x) * tanf(x)
    case .arcSine: 1 / (1 - x * x).squareRoot()
    case .arcCosine: -1 / (1 - x * x).squareRoot()
    case .arcTangent: 1 / (1 + x * x)
    case .hyperbolicSine: coshf(x)
    case .hyperbolicCosine: sinhf(x)
    case .clip(let minimum, let maximum): x > minimum && x < maximum ? 1 : 0
    case .hardSigmoid(let slope, let offset): (0...1).contains(slope * x + offset) ? slope : 0
    case .areaHyperbolicSine: 1 / (x * x + 1).squareRoot()
    case .areaHyperbolicCosine: 1 / (x * x - 1).squareRoot()
    case .areaHyperbolicTangent: 1 / (1 - x * x)
    case .shrink(let threshold, _): abs(x) > threshold ? 1 : 0
    case .sign, .floor, .ceiling, .round, .not, .isNaN, .isInfinite, .truncate, .wrap, .toBoolean: 0
    }
  }
}

/// The adjoint of multiplying every x below 0 by a learned slope.
struct ParametricReLUAdjoint: Adjoint {
  let slopes: TensorReference

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let input = pass.operands[0]
    let own = try pass.weight(slopes)
    // Slopes have no batch axis; axes that the layer shares have extent 1.
    let aligned = Array(repeating: 1, count: input.order - own.order) + own.shape
    let factors = own.reshaped(aligned).stretched(to: input.shape).combined(with: input) { $1 < 0 ? $0 : 1 }
    var result = AdjointResult(operands: [pass.gradient.multiplied(by: factors)])
    if pass.isTrained(slopes) {
      let products = pass.gradient.combined(with: input) { $1 < 0 ? $0 * $1 : 0 }
      result.weights.append((slopes, products.summed(to: aligned).reshaped(own.shape)))
    }
    return result
  }
}

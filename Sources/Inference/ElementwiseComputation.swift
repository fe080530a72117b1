import Foundation
import ModelGraph
import TensorCore

/// One element from the operands' elements at the same place; shapes broadcast from the right.
struct ElementwiseComputation: Computation {
  let kind: Elementwise

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = outputShape.count
    func aligned(_ value: Value) -> Value {
      value.reshaped(Array(repeating: 1, count: rank - value.shape.count) + value.shape)
    }
    var result = aligned(inputs.removeFirst()).stretched(to: outputShape)
    if kind == .select {
      let yes = aligned(inputs[0]).stretched(to: outputShape)
      let no = aligned(inputs[1]).stretched(to: outputShape)
      for i in result.elements.indices {
        result.elements[i] = result.elements[i] != 0 ? yes.elements[i] : no.elements[i]
      }
      return result
    }
    let count = inputs.count + 1
    for operand in inputs { combine(&result, aligned(operand)) }
    if kind == .mean { for i in result.elements.indices { result.elements[i] /= Float(count) } }
    return result
  }

  private func combine(_ x: inout Value, _ y: Value) {
    switch kind {
    case .add, .mean: x.combine(with: y) { $0 + $1 }
    case .subtract: x.combine(with: y) { $0 - $1 }
    case .multiply: x.combine(with: y) { $0 * $1 }
    case .divide: x.combine(with: y) { $0 / $1 }
    // A NaN on either side stays one.
    case .minimum: x.combine(with: y) { $0 < $1 || $0.isNaN ? $0 : $1 }
    case .maximum: x.combine(with: y) { $0 > $1 || $0.isNaN ? $0 : $1 }
    case .parametricReLU: x.combine(with: y) { $0 < 0 ? $0 * $1 : $0 }
    case .integerDivide, .power, .modulo, .remainder, .equal, .less, .greater, .lessOrEqual, .greaterOrEqual, .and, .or,
      .xor, .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight:
      x.combine(with: y) { Float(kind.apply([Double($0), Double($1)])) }
    case .select: preconditionFailure("a selection has three operands")
    }
  }
}

struct FunctionComputation: Computation {
  let function: ElementFunction

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    switch function {
    case .negate: value.replace { -$0 }
    case .absolute: value.replace { abs($0) }
    case .sign: value.replace { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }
    case .reciprocal: value.replace { 1 / $0 }
    case .squareRoot: value.replace { $0.squareRoot() }
    case .exponential: value.replace { exp($0) }
    case .logarithm: value.replace { log($0) }
    case .floor: value.replace { $0.rounded(.down) }
    case .ceiling: value.replace { $0.rounded(.up) }
    case .round: value.replace { $0.rounded(.toNearestOrEven) }
    case .truncate: value.replace { $0.rounded(.towardZero) }
    case .erf: value.replace { erf($0) }
    case .sine: value.replace { sin($0) }
    case .cosine: value.replace { cos($0) }
    case .tangent: value.replace { tan($0) }
    case .arcSine: value.replace { asin($0) }
    case .arcCosine: value.replace { acos($0) }
    case .arcTangent: value.replace { atan($0) }
    case .hyperbolicSine: value.replace { sinh($0) }
    case .hyperbolicCosine: value.replace { cosh($0) }
    case .areaHyperbolicSine: value.replace { asinh($0) }
    case .areaHyperbolicCosine: value.replace { acosh($0) }
    case .areaHyperbolicTangent: value.replace { atanh($0) }
    case .isInfinite(let positive, let negative):
      value.replace { $0.isInfinite && ($0 > 0 ? positive : negative) ? 1 : 0 }
    case .wrap(let bits, let isSigned):
      value.replace { Float(ElementFunction.wrapped(Double($0), bits: bits, isSigned: isSigned)) }
    case .shrink(let threshold, let bias):
      value.replace { $0 < -threshold ? $0 + bias : $0 > threshold ? $0 - bias : 0 }
    case .not: value.replace { $0 == 0 ? 1 : 0 }
    case .isNaN: value.replace { $0.isNaN ? 1 : 0 }
    case .toBoolean: value.replace { $0 != 0 ? 1 : 0 }
    case .clip(let minimum, let maximum): value.replace { $0 < minimum ? minimum : $0 > maximum ? maximum : $0 }
    case .hardSigmoid(let slope, let offset): value.replace { max(0, min(1, slope * $0 + offset)) }
    }
    return value
  }
}

extension Value {
  @inline(__always)
  fileprivate mutating func replace(_ function: (Float) -> Float) {
    var span = elements.mutableSpan
    for i in span.indices { span[i] = function(span[i]) }
  }
}

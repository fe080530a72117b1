import Foundation

extension Elementwise {
  func output(of operands: [KnownValue]) throws -> KnownValue {
    let shape = try ArrayOperation.broadcast(operands.map(\.shape))
    let contents = operands.compactMap(\.content)
    guard contents.count == operands.count, let count = contents.map(\.count).max(),
      contents.allSatisfy({ $0.count == count || $0.count == 1 })
    else { return KnownValue(shape) }
    return KnownValue(
      shape,
      content: (0..<count).map { i in
        let values = contents.compactMap { $0.count == 1 ? $0[0] : $0[i] }
        return values.count == contents.count ? apply(values) : nil
      })
  }

  private func bits(_ x: [Double], _ function: (Int, Int) -> Int) -> Double {
    guard let first = Int(clampingTruncated: x[0]), let second = Int(clampingTruncated: x[1]) else { return .nan }
    return Double(function(first, second))
  }

  /// The function of one element of every operand.
  public func apply(_ x: [Double]) -> Double {
    func truth(_ value: Bool) -> Double { value ? 1 : 0 }
    switch self {
    case .add: return x.dropFirst().reduce(x[0], +)
    case .mean: return x.reduce(0, +) / Double(x.count)
    case .minimum: return x.dropFirst().reduce(x[0], Swift.min)
    case .maximum: return x.dropFirst().reduce(x[0], Swift.max)
    case .subtract: return x[0] - x[1]
    case .multiply: return x[0] * x[1]
    case .divide: return x[0] / x[1]
    case .integerDivide: return (x[0] / x[1]).rounded(.towardZero)
    case .power: return pow(x[0], x[1])
    case .modulo:
      let rest = fmod(x[0], x[1])
      return rest != 0 && (rest < 0) != (x[1] < 0) ? rest + x[1] : rest
    case .remainder: return fmod(x[0], x[1])
    case .equal: return truth(x[0] == x[1])
    case .less: return truth(x[0] < x[1])
    case .greater: return truth(x[0] > x[1])
    case .lessOrEqual: return truth(x[0] <= x[1])
    case .greaterOrEqual: return truth(x[0] >= x[1])
    case .and: return truth(x[0] != 0 && x[1] != 0)
    case .or: return truth(x[0] != 0 || x[1] != 0)
    case .xor: return truth((x[0] != 0) != (x[1] != 0))
    case .bitAnd: return bits(x) { $0 & $1 }
    case .bitOr: return bits(x) { $0 | $1 }
    case .bitXor: return bits(x) { $0 ^ $1 }
    // By a negative count, as by a large one, nothing but the sign stays.
    case .shiftLeft: return bits(x) { (0..<64).contains($1) ? $0 << $1 : 0 }
    case .shiftRight: return bits(x) { (0..<64).contains($1) ? $0 >> $1 : $0 < 0 ? -1 : 0 }
    case .select: return x[0] != 0 ? x[1] : x[2]
    case .parametricReLU: return x[0] < 0 ? x[0] * x[1] : x[0]
    }
  }
}

extension ElementFunction {
  /// The functions through which shape arithmetic goes; nil for all others.
  func exact(_ x: Double) -> Double? {
    switch self {
    case .negate: -x
    case .absolute: Swift.abs(x)
    case .floor: x.rounded(.down)
    case .ceiling: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .truncate: x.rounded(.towardZero)
    case .toBoolean: x != 0 ? 1 : 0
    case .not: x == 0 ? 1 : 0
    case .wrap(let bits, let isSigned): Self.wrapped(x, bits: bits, isSigned: isSigned)
    case .sign, .reciprocal, .squareRoot, .exponential, .logarithm, .erf, .sine, .cosine, .tangent, .arcSine,
      .arcCosine, .arcTangent, .hyperbolicSine, .hyperbolicCosine, .areaHyperbolicSine, .areaHyperbolicCosine,
      .areaHyperbolicTangent, .isNaN, .isInfinite, .clip, .shrink, .hardSigmoid:
      nil
    }
  }

  /// A whole number as an integer of so many bits has it.
  public static func wrapped(_ x: Double, bits: Int, isSigned: Bool) -> Double {
    let count = Double(sign: .plus, exponent: bits, significand: 1)
    let rest = x - (x / count).rounded(.down) * count
    return isSigned && rest >= count / 2 ? rest - count : rest
  }
}

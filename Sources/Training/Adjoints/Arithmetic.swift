import ModelGraph

/// Which derivative an element-wise operation with several operands has.
enum Arithmetic: Sendable, Equatable {
  case sum, difference, mean, product, quotient, power, maximum, minimum
  /// The second where the first holds, else the third.
  case selection
  /// The first, times the second where it is negative.
  case parametricReLU
}

extension Merge {
  /// The arithmetic of the operation; nil for what works not element by element.
  var arithmetic: Arithmetic? {
    switch self {
    case .add: .sum
    case .subtract: .difference
    case .multiply: .product
    case .average: .mean
    case .maximum: .maximum
    case .minimum: .minimum
    case .concatenate, .dot: nil
    }
  }
}

extension Elementwise {
  /// The arithmetic of the operation; nil where nothing changes with the operands, or only by steps.
  var arithmetic: Arithmetic? {
    switch self {
    case .add: .sum
    case .subtract: .difference
    case .multiply: .product
    case .divide: .quotient
    case .power: .power
    case .minimum: .minimum
    case .maximum: .maximum
    case .mean: .mean
    case .select: .selection
    case .parametricReLU: .parametricReLU
    case .integerDivide, .modulo, .remainder, .equal, .less, .greater, .lessOrEqual, .greaterOrEqual, .and, .or, .xor,
      .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight:
      nil
    }
  }

  var flatAdjoint: FlatAdjoint? {
    switch self {
    // The remainder moves with the dividend and jumps with the divisor.
    case .modulo, .remainder: nil
    case .add, .subtract, .multiply, .divide, .integerDivide, .power, .minimum, .maximum, .mean, .equal, .less,
      .greater, .lessOrEqual, .greaterOrEqual, .and, .or, .xor, .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight,
      .select, .parametricReLU:
      FlatAdjoint()
    }
  }
}

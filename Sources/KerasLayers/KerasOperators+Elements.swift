import Basics
import ModelGraph

/// Functions of the elements at the same place.
extension KerasOperators {
  static let elements: [String: Function] = {
    var table: [String: Function] = [:]
    let binary: [([String], Elementwise)] = [
      (["add", "add_v2"], .add), (["subtract", "sub"], .subtract), (["multiply", "mul"], .multiply),
      (["divide", "true_divide", "truediv", "real_div"], .divide), (["power", "pow"], .power), (["maximum"], .maximum),
      (["minimum"], .minimum), (["mod", "floor_mod", "floormod"], .modulo), (["equal"], .equal), (["less"], .less),
      (["less_equal"], .lessOrEqual), (["greater"], .greater), (["greater_equal"], .greaterOrEqual),
      (["logical_and"], .and), (["logical_or"], .or), (["logical_xor"], .xor),
    ]
    for (names, kind) in binary {
      let function = Function.single { use in try use.pair(kind) }
      for name in names { table[name] = function }
    }
    let unary: [([String], ElementFunction)] = [
      (["absolute", "abs"], .absolute), (["negative", "neg"], .negate), (["sign"], .sign), (["sqrt"], .squareRoot),
      (["reciprocal"], .reciprocal), (["exp"], .exponential), (["log"], .logarithm), (["floor"], .floor),
      (["ceil"], .ceiling), (["rint"], .round), (["erf"], .erf), (["sin"], .sine), (["cos"], .cosine),
      (["tan"], .tangent), (["arcsin", "asin"], .arcSine), (["arccos", "acos"], .arcCosine),
      (["arctan", "atan"], .arcTangent), (["sinh"], .hyperbolicSine), (["cosh"], .hyperbolicCosine),
      (["logical_not"], .not), (["isnan", "is_nan"], .isNaN),
    ]
    for (names, kind) in unary {
      let function = Function.single { use in use.function(kind, of: try use.first()) }
      for name in names { table[name] = function }
    }
    let activations: [([String], Activation)] = [
      (["relu"], .relu()), (["relu6"], .relu(maximum: 6)), (["sigmoid"], .sigmoid), (["tanh"], .tanh),
      (["softplus"], .softplus), (["softsign"], .softsign), (["silu", "swish"], .silu), (["log_sigmoid"], .logSigmoid),
      (["hard_sigmoid"], .hardSigmoid), (["hard_silu", "hard_swish"], .hardSilu), (["hard_tanh"], .hardTanh),
      (["tanh_shrink"], .tanhShrink), (["selu"], .selu), (["mish"], .mish), (["sparse_plus"], .sparsePlus),
      (["sparse_sigmoid"], .sparseSigmoid),
    ]
    for (names, kind) in activations {
      let function = Function.single { use in use.activated(try use.first(), kind) }
      for name in names { table[name] = function }
    }
    return table.merging(special) { first, _ in first }
  }()

  private static let special: [String: Function] = [
    "not_equal": .single { use in use.function(.not, of: try use.pair(.equal)) },
    "squared_difference": .single { use in
      let difference = try use.pair(.subtract)
      return use.elementwise(.multiply, difference, difference)
    },
    "floor_divide": floorDivide, "floordiv": floorDivide, "floor_div": floorDivide,
    "divide_no_nan": .single { use in
      let divisor = try use.operand(1, "x2", "y")
      let quotient = try use.pair(.divide)
      return use.select(divisor, quotient, otherwise: use.scalar(0))
    },
    "round": .single { use in
      guard try use.integer(1, "decimals", default: 0) == 0 else {
        throw use.layer.failure("cannot be run", "it keeps decimals")
      }
      return use.function(.round, of: try use.first())
    },
    "square": .single { use in
      let value = try use.first()
      return use.elementwise(.multiply, value, value)
    },
    "rsqrt": .single { use in use.function(.reciprocal, of: use.function(.squareRoot, of: try use.first())) },
    "log1p": .single { use in
      let sum = use.elementwise(.add, try use.first(), use.scalar(1))
      return use.function(.logarithm, of: sum)
    },
    "expm1": .single { use in
      let power = use.function(.exponential, of: try use.first())
      return use.elementwise(.subtract, power, use.scalar(1))
    },
    "leaky_relu": .single { use in
      let slope = try use.setting(1, "negative_slope", "alpha")?.real ?? 0.2
      return use.activated(try use.first(), .relu(negativeSlope: Float(slope)))
    },
    "elu": .single { use in
      use.activated(try use.first(), .elu(alpha: Float(try use.setting(1, "alpha")?.real ?? 1)))
    },
    "celu": .single { use in
      use.activated(try use.first(), .celu(alpha: Float(try use.setting(1, "alpha")?.real ?? 1)))
    },
    "gelu": .single { use in
      // Keras 3 approximates unless told otherwise, TensorFlow does not.
      use.activated(
        try use.first(), .gelu(approximate: try use.isOn(1, "approximate", default: use.layer.majorVersion >= 3)))
    },
    "softmax": .single { use in
      let value = try use.first()
      let axes = try use.axes(1, "axis") ?? [-1]
      return use.softmax(value, axes: try axes.map { try use.axis($0, of: value) })
    },
    "log_softmax": .single { use in
      use.activated(try use.first(), .logSoftmax(axis: try use.integer(1, "axis", default: -1)))
    },
    "where": .single { use in
      guard use.hasOperand(1, "x1", "x"), use.hasOperand(2, "x2", "y") else {
        throw use.layer.failure("cannot be run", "the count of its results depends on the data")
      }
      let condition = try use.operand(0, "condition")
      let (yes, no) = (try use.operand(1, "x1", "x"), try use.operand(2, "x2", "y"))
      return use.select(condition, yes, otherwise: no)
    },
    "clip": clip, "clip_by_value": clip,
    "cast": .single { use in
      let value = try use.first()
      guard let type = try use.setting(1, "dtype", "DstT")?.string else {
        throw use.layer.failure("cannot be run", "it does not state its type")
      }
      if type.contains("bool") { return use.function(.toBoolean, of: value) }
      return type.contains("int") ? use.function(.truncate, of: value) : value
    },
    "identity": same, "stop_gradient": same, "convert_to_tensor": same, "copy": same, "ensure_shape": same,
    "zeros_like": .single { use in
      let value = try use.first()
      return use.append(.filled(value: 0), [use.append(.shape(axes: 0..<(try use.rank(of: value))), [value])])
    },
    "ones_like": .single { use in
      let value = try use.first()
      return use.append(.filled(value: 1), [use.append(.shape(axes: 0..<(try use.rank(of: value))), [value])])
    },
  ]

  private static let same = Function.single { use in try use.first() }

  private static let floorDivide = Function.single { use in use.function(.floor, of: try use.pair(.divide)) }

  private static let clip = Function.single { use in
    let value = try use.first()
    let least = try use.operand(1, "x_min", "clip_value_min")
    let most = try use.operand(2, "x_max", "clip_value_max")
    return use.elementwise(.minimum, use.elementwise(.maximum, value, least), most)
  }
}

extension KerasUse {
  /// The first operand.
  mutating func first() throws -> String {
    try operand(0, "x", "inputs", "input", "tensor", "value", "logits", "features", "x1", "a", "condition", "data")
  }

  fileprivate mutating func pair(_ kind: Elementwise) throws -> String {
    let a = try operand(0, "x1", "x", "a")
    let b = try operand(1, "x2", "y", "b")
    return elementwise(kind, a, b)
  }
}

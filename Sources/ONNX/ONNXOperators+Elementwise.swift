import ModelGraph
import TensorCore

/// Activations and arithmetic, element by element.
extension ONNXOperators {
  static let activations: [String: Converter] = [
    "Relu": activation { _ in .relu() },
    "LeakyRelu": activation { .relu(negativeSlope: Float($0.float("alpha", default: 0.01))) },
    "ThresholdedRelu": { conversion in
      let alpha = Float(conversion.node.float("alpha", default: 1))
      conversion.emit(.activation(.threshold(threshold: alpha, value: 0)), [try conversion.operand(0)])
    },
    "Elu": activation { .elu(alpha: Float($0.float("alpha", default: 1))) },
    "Celu": activation { .celu(alpha: Float($0.float("alpha", default: 1))) },
    "Selu": { conversion in
      guard conversion.node.proto.attribute.isEmpty else { return conversion.refuse("with its own constants") }
      conversion.emit(.activation(.selu), [try conversion.operand(0)])
    },
    "Sigmoid": activation { _ in .sigmoid }, "Tanh": activation { _ in .tanh },
    "Softplus": activation { _ in .softplus }, "Softsign": activation { _ in .softsign },
    "Mish": activation { _ in .mish },
    "HardSwish": activation { _ in .hardSilu },
    "Gelu": activation { .gelu(approximate: $0.text("approximate", default: "none") == "tanh") },
    "HardSigmoid": { conversion in
      let node = conversion.node
      conversion.emit(
        .function(
          .hardSigmoid(slope: Float(node.float("alpha", default: 0.2)), offset: Float(node.float("beta", default: 0.5)))
        ),
        [try conversion.operand(0)])
    },
    "Softmax": softmax(logarithmic: false), "LogSoftmax": softmax(logarithmic: true),
    "PRelu": { $0.emit(.elementwise(.parametricReLU), [try $0.operand(0), try $0.operand(1)]) },
    "Clip": clip,
  ]

  private static func activation(_ make: @escaping @Sendable (ONNXNode) -> Activation) -> Converter {
    { $0.emit(.activation(make($0.node)), [try $0.operand(0)]) }
  }

  /// Before opset 13 all axes from `axis` on are one.
  private static func softmax(logarithmic: Bool) -> Converter {
    { conversion in
      let isOld = conversion.node.opset < 13
      let axis = conversion.node.int("axis", default: isOld ? 1 : -1)
      let input = [try conversion.operand(0)]
      if isOld {
        conversion.emit(.trailingSoftmax(axis: axis, logarithmic: logarithmic), input)
      } else {
        conversion.emit(.activation(logarithmic ? .logSoftmax(axis: axis) : .softmax(axis: axis)), input)
      }
    }
  }

  private static let clip: Converter = { conversion in
    let node = conversion.node
    var bounds: [Double?] = [nil, nil]
    for (index, key) in ["min", "max"].enumerated() {
      if node.proto.attribute(named: key) != nil {
        bounds[index] = node.float(key, default: 0)
      } else if node.input(index + 1) != nil {
        guard let number = try node.number(index + 1) else {
          // Bounds that other nodes compute.
          var value = try conversion.operand(0)
          if node.input(1) != nil {
            value = conversion.intermediate("min", .array(.elementwise(.maximum)), [value, try conversion.operand(1)])
          }
          if node.input(2) != nil {
            value = conversion.intermediate("max", .array(.elementwise(.minimum)), [value, try conversion.operand(2)])
          }
          return conversion.emit(.identity, [value])
        }
        bounds[index] = number
      }
    }
    let input = [try conversion.operand(0)]
    let upper = bounds[1].map { Float($0) }
    if bounds[0] == 0, upper ?? .infinity > 0 {
      conversion.emit(.activation(.relu(maximum: upper == .infinity ? nil : upper)), input)
    } else {
      conversion.emit(
        .function(.clip(minimum: bounds[0].map { Float($0) } ?? -.infinity, maximum: upper ?? .infinity)), input)
    }
  }

  static let arithmetic: [String: Converter] = [
    "Add": add,
    "Sub": elementwise(.subtract), "Mul": elementwise(.multiply), "Pow": elementwise(.power),
    "Div": { conversion in
      let isInteger = conversion.node.input(0).map { name in
        (try? conversion.builder.operand(name)).map(conversion.builder.isInteger) ?? false
      }
      conversion.emit(
        .elementwise(isInteger == true ? .integerDivide : .divide),
        [try conversion.operand(0), try conversion.operand(1)])
    },
    "Mod": { conversion in
      let kind: Elementwise = conversion.node.int("fmod", default: 0) != 0 ? .remainder : .modulo
      conversion.emit(.elementwise(kind), [try conversion.operand(0), try conversion.operand(1)])
    },
    "Min": elementwise(.minimum), "Max": elementwise(.maximum), "Sum": elementwise(.add), "Mean": elementwise(.mean),
    "Equal": elementwise(.equal), "Less": elementwise(.less), "Greater": elementwise(.greater),
    "LessOrEqual": elementwise(.lessOrEqual), "GreaterOrEqual": elementwise(.greaterOrEqual),
    "And": elementwise(.and), "Or": elementwise(.or), "Xor": elementwise(.xor), "Where": elementwise(.select),
    "Neg": function(.negate), "Abs": function(.absolute), "Sign": function(.sign), "Reciprocal": function(.reciprocal),
    "Sqrt": function(.squareRoot), "Exp": function(.exponential), "Log": function(.logarithm),
    "Floor": function(.floor), "Ceil": function(.ceiling), "Round": function(.round), "Erf": function(.erf),
    "Sin": function(.sine), "Cos": function(.cosine), "Tan": function(.tangent), "Asin": function(.arcSine),
    "Acos": function(.arcCosine), "Atan": function(.arcTangent), "Sinh": function(.hyperbolicSine),
    "Cosh": function(.hyperbolicCosine), "Not": function(.not), "IsNaN": function(.isNaN),
    "Identity": { $0.emit(.identity, [try $0.operand(0)]) },
    "Dropout": { $0.emit(.identity, [try $0.operand(0)]) },
    "Cast": cast,
  ]

  private static func elementwise(_ kind: Elementwise) -> Converter {
    { $0.emit(.elementwise(kind), try $0.operands()) }
  }

  private static func function(_ function: ElementFunction) -> Converter {
    { $0.emit(.function(function), [try $0.operand(0)]) }
  }

  /// A bias on the last axis joins the product before it.
  private static let add: Converter = { conversion in
    let node = conversion.node
    for (constant, other) in [(1, 0), (0, 1)] {
      guard let bias = node.constant(constant), node.constant(other) == nil, bias.shape.count == 1, bias.shape[0] > 1,
        let name = node.input(other), conversion.builder.isMadeByProduct(name)
      else { continue }
      return conversion.emit(.bias(bias.reference, layout: .channelsLast), [name])
    }
    conversion.emit(.elementwise(.add), try conversion.operands())
  }

  private static let cast: Converter = { conversion in
    let operation: Operation =
      switch conversion.node.int("to", default: 1) {
      case 1, 10, 11, 16: .identity
      case 9: .array(.function(.toBoolean))
      case 8: .unsupported(type: "Cast", reason: "to strings")
      default: .array(.function(.truncate))
      }
    conversion.emit(operation, [try conversion.operand(0)])
  }
}

extension ONNXGraphBuilder {
  /// Whether a value is the output of a linear layer.
  func isMadeByProduct(_ name: String) -> Bool {
    guard let node = nodes.last(where: { $0.name == name }),
      case .convolution(let convolution, _, _, _) = node.operation
    else { return false }
    return convolution.spatialOrder == 0
  }
}

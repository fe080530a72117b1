import ModelGraph
import TensorCore

/// Activations.
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
    "Selu": selu,
    "Swish": { conversion in try swish(conversion, alpha: conversion.node.float("alpha", default: 1)) },
    "Shrink": { conversion in
      let node = conversion.node
      let shrink = ElementFunction.shrink(
        threshold: Float(node.float("lambd", default: 0.5)), bias: Float(node.float("bias", default: 0)))
      conversion.emit(.function(shrink), [try conversion.operand(0)])
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
    "Softmax": softmax(logarithmic: false), "LogSoftmax": softmax(logarithmic: true), "Hardmax": hardmax,
    "PRelu": { conversion in
      let input = try conversion.operand(0)
      var slopes = try conversion.weight(1)
      // Up to version 6 there is one slope for each channel.
      if conversion.node.opset < 7, conversion.node.tensor(1)?.shape.reduce(1, *) != 1 {
        slopes = conversion.aligned(slopes, with: input, axis: 1)
      }
      conversion.emit(.elementwise(.parametricReLU), [input, slopes])
    },
    "Clip": clip,
  ]

  private static func activation(_ make: @escaping @Sendable (ONNXNode) -> Activation) -> Converter {
    { $0.emit(.activation(make($0.node)), [try $0.operand(0)]) }
  }

  private static let selu: Converter = { conversion in
    let node = conversion.node
    let alpha = node.float("alpha", default: Double(Float(1.673_263_242_354_377_2)))
    let gamma = node.float("gamma", default: Double(Float(1.050_700_987_355_480_5)))
    let input = [try conversion.operand(0)]
    guard abs(alpha - 1.673_263_242_354_377_2) > 1e-6 || abs(gamma - 1.050_700_987_355_480_5) > 1e-6 else {
      return conversion.emit(.activation(.selu), input)
    }
    let exponential = conversion.value(.activation(.elu(alpha: Float(alpha))), input)
    conversion.emit(.elementwise(.multiply), [exponential, conversion.number(gamma)])
  }

  /// The function x * sigmoid(alpha * x).
  static func swish(_ conversion: ONNXConversion, alpha: Double) throws {
    let input = try conversion.operand(0)
    guard alpha != 1 else { return conversion.emit(.activation(.silu), [input]) }
    let gate = conversion.value(
      .activation(.sigmoid), [conversion.combine(.multiply, input, conversion.number(alpha))])
    conversion.emit(.elementwise(.multiply), [input, gate])
  }

  /// 1 at the first largest element of an axis, before opset 13 of all axes from `axis` on as one.
  private static let hardmax: Converter = { conversion in
    let isOld = conversion.node.opset < 13
    let axis = conversion.node.int("axis", default: isOld ? 1 : -1)
    let input = try conversion.operand(0)
    let data = isOld ? conversion.value(.flatten(axis: axis), [input]) : input
    let line = isOld ? 1 : axis
    let place = conversion.value(.extremum(axis: line, largest: true, keepsAxis: true), [data])
    let extent = conversion.reshaped(conversion.extent(data, line), [])
    let places = conversion.value(.range, [conversion.number(0), extent, conversion.number(1)])
    let row = conversion.aligned(places, with: data, axis: line)
    let result = conversion.combine(.equal, row, place)
    conversion.emit(.reshape(keepsZero: false), [result, conversion.shape(input)])
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
    // Where the bounds cross, all is the upper one.
    if let low = bounds[0], let high = bounds[1], low > high { bounds[0] = high }
    let input = [try conversion.operand(0)]
    let upper = bounds[1].map { Float($0) }
    if bounds[0] == 0, upper ?? .infinity > 0 {
      conversion.emit(.activation(.relu(maximum: upper == .infinity ? nil : upper)), input)
    } else {
      conversion.emit(
        .function(.clip(minimum: bounds[0].map { Float($0) } ?? -.infinity, maximum: upper ?? .infinity)), input)
    }
  }
}

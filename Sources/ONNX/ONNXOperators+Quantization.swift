import ModelGraph
import TensorCore

/// Operators between floating-point numbers and whole numbers of few bits.
extension ONNXOperators {
  static let quantization: [String: Converter] = [
    "QuantizeLinear": { conversion in
      try quantize(
        conversion, try conversion.operand(0), scale: 1, zeroPoint: 2, to: conversion.output, conversion.outputKind)
    },
    "DequantizeLinear": { conversion in
      guard conversion.kind(0)?.isInteger ?? true else { return conversion.refuse("of numbers that are not whole") }
      conversion.emit(.identity, [try dequantized(conversion, 0, scale: 1, zeroPoint: 2)])
    },
    "DynamicQuantizeLinear": { conversion in
      let input = try conversion.operand(0)
      func bound(_ kind: Reduction, _ other: Elementwise) -> String {
        let extremum = conversion.value(.reduce(kind, keepsAxes: false, ignoresMissingAxes: false), [input])
        return conversion.combine(other, extremum, conversion.number(0))
      }
      let (low, high) = (bound(.minimum, .minimum), bound(.maximum, .maximum))
      let scale = conversion.combine(.divide, conversion.combine(.subtract, high, low), conversion.number(255))
      let zero = conversion.apply(
        .round,
        conversion.apply(
          .clip(minimum: 0, maximum: 255),
          conversion.combine(.subtract, conversion.number(0), conversion.combine(.divide, low, scale))))
      if let output = conversion.output(1) { conversion.emit(output, .identity, [scale]) }
      if let output = conversion.output(2) { conversion.emit(output, .identity, [zero]) }
      let steps = conversion.apply(.round, conversion.combine(.divide, input, scale))
      conversion.emit(.function(.clip(minimum: 0, maximum: 255)), [conversion.combine(.add, steps, zero)])
    },
    "MatMulInteger": { conversion in
      conversion.emit(
        .matrixProduct, [try shifted(conversion, 0, by: 2, axis: -2), try shifted(conversion, 1, by: 3, axis: -1)])
    },
    "ConvInteger": { conversion in
      guard let convolution = try convolution(conversion, kernel: 1) else { return }
      conversion.emit(
        .convolution(convolution),
        [try shifted(conversion, 0, by: 2, axis: 1), try shifted(conversion, 1, by: 3, axis: 0)])
    },
    "QLinearMatMul": { conversion in
      let product = conversion.value(
        .matrixProduct,
        [
          try dequantized(conversion, 0, scale: 1, zeroPoint: 2, axis: -2),
          try dequantized(conversion, 3, scale: 4, zeroPoint: 5, axis: -1),
        ])
      try quantize(conversion, product, scale: 6, zeroPoint: 7, to: conversion.output, conversion.outputKind)
    },
    "QLinearConv": { conversion in
      guard let convolution = try convolution(conversion, kernel: 3) else { return }
      var result = conversion.value(
        .convolution(convolution),
        [
          try dequantized(conversion, 0, scale: 1, zeroPoint: 2, axis: 1),
          try dequantized(conversion, 3, scale: 4, zeroPoint: 5, axis: 0),
        ])
      if conversion.node.input(8) != nil {
        let unit = conversion.combine(.multiply, try conversion.operand(1), try conversion.operand(4))
        let bias = conversion.combine(.multiply, try conversion.operand(8), unit)
        result = conversion.combine(.add, result, conversion.aligned(bias, with: result, axis: 1))
      }
      try quantize(conversion, result, scale: 6, zeroPoint: 7, to: conversion.output, conversion.outputKind)
    },
  ]

  private static func convolution(_ conversion: ONNXConversion, kernel: Int) throws -> OperandConvolution? {
    let node = conversion.node
    guard let order = node.tensor(kernel).map({ $0.shape.count - 2 }) ?? node.ints("kernel_shape")?.count,
      (1...3).contains(order)
    else {
      conversion.refuse("whose kernel's axes are computed by other nodes")
      return nil
    }
    return OperandConvolution(window: try node.window(order), groups: node.int("group", default: 1))
  }

  /// A scale or a zero point so that it broadcasts with the data: one number, one for each entry of an axis, or one for each block.
  private static func spread(
    _ conversion: ONNXConversion, _ index: Int, with data: String, axis: Int
  ) throws -> String {
    let node = conversion.node
    let parameter = try conversion.operand(index)
    let block = node.int("block_size", default: 0)
    if let shape = node.tensor(index)?.shape {
      if shape.reduce(1, *) == 1 { return conversion.reshaped(parameter, []) }
      if shape.count > 1, block > 0, (-shape.count..<shape.count).contains(axis) {
        var factors = Array(repeating: 1.0, count: shape.count)
        factors[axis.normalizedAxis(rank: shape.count)] = Double(block)
        let repeated = conversion.value(
          .resize(Resizing(size: .factors, coordinates: .asymmetric, method: .nearest(.floor))),
          [parameter, conversion.builder.literal(Literal(shape: [factors.count], values: factors))])
        return conversion.value(
          .slice,
          [repeated, conversion.literal([0]), conversion.extent(data, axis), conversion.literal([axis])])
      }
      if shape.count > 1 { return parameter }
    } else if node.proto.attribute(named: "axis") == nil {
      return parameter
    }
    return conversion.aligned(parameter, with: data, axis: axis)
  }

  private static func axis(_ conversion: ONNXConversion, _ axis: Int?) -> Int {
    axis ?? conversion.node.int("axis", default: 1)
  }

  /// The data minus its zero point.
  private static func shifted(
    _ conversion: ONNXConversion, _ index: Int, by zeroPoint: Int, axis: Int
  ) throws -> String {
    let data = try conversion.operand(index)
    guard conversion.node.input(zeroPoint) != nil else { return data }
    return conversion.combine(.subtract, data, try spread(conversion, zeroPoint, with: data, axis: axis))
  }

  private static func dequantized(
    _ conversion: ONNXConversion, _ index: Int, scale: Int, zeroPoint: Int, axis: Int? = nil
  ) throws -> String {
    let axis = self.axis(conversion, axis)
    let centred = try shifted(conversion, index, by: zeroPoint, axis: axis)
    return conversion.combine(.multiply, centred, try spread(conversion, scale, with: centred, axis: axis))
  }

  private static func quantize(
    _ conversion: ONNXConversion, _ value: String, scale: Int, zeroPoint: Int, to output: String,
    _ kind: ONNXElementTypes.Kind?
  ) throws {
    guard let range = kind?.range else { return conversion.refuse("to numbers that are not whole") }
    let axis = self.axis(conversion, nil)
    var steps = conversion.apply(
      .round, conversion.combine(.divide, value, try spread(conversion, scale, with: value, axis: axis)))
    if conversion.node.input(zeroPoint) != nil {
      steps = conversion.combine(.add, steps, try spread(conversion, zeroPoint, with: value, axis: axis))
    }
    conversion.emit(
      output,
      .array(.function(.clip(minimum: Float(range.lowerBound), maximum: Float(range.upperBound)))), [steps])
  }
}

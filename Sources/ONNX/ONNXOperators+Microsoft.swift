import ModelGraph
import TensorCore

/// Operators of the domain com.microsoft that onnxruntime's optimizer and exporters write.
extension ONNXOperators {
  static let microsoft: [String: Converter] = [
    "Gelu": { $0.emit(.activation(.gelu(approximate: false)), [try $0.operand(0)]) },
    "BiasGelu": { try gelu($0, approximate: false) },
    "FastGelu": { try gelu($0, approximate: true) },
    "QuickGelu": { try swish($0, alpha: $0.node.float("alpha", default: 1.702)) },
    "LayerNormalization": normalizations["LayerNormalization"] ?? unknown,
    "SimplifiedLayerNormalization": normalizations["SimplifiedLayerNormalization"] ?? unknown,
    "QuantizeLinear": quantization["QuantizeLinear"] ?? unknown,
    "DequantizeLinear": quantization["DequantizeLinear"] ?? unknown,
    "Trilu": places["Trilu"] ?? unknown, "GridSample": resizing["GridSample"] ?? unknown,
    "SkipLayerNormalization": { conversion in
      let sum = try skipped(conversion, bias: 4)
      try normalizeLayer(conversion, sum, scale: 2, offset: 3, epsilon: 1e-12)
    },
    "SkipSimplifiedLayerNormalization": { conversion in
      let sum = try skipped(conversion, bias: 3)
      let normal = dividedByRootMeanSquare(conversion, sum, axis: -1, epsilon: 1e-12)
      conversion.emit(.identity, [try conversion.affine(normal, scale: 2, offset: nil, axis: nil)])
    },
    "FusedMatMul": { conversion in
      let node = conversion.node
      guard node.int("transBatchA", default: 0) == 0, node.int("transBatchB", default: 0) == 0 else {
        return conversion.refuse("that moves the batch")
      }
      let left = node.int("transA", default: 0) != 0 ? "...km" : "...mk"
      let right = node.int("transB", default: 0) != 0 ? "...nk" : "...kn"
      let product = conversion.value(.einsum(try EinsumEquation("\(left),\(right)->...mn")), try conversion.operands())
      conversion.emit(.elementwise(.multiply), [product, conversion.number(node.float("alpha", default: 1))])
    },
    "BiasAdd": { conversion in
      let sum = conversion.combine(.add, try conversion.operand(0), try conversion.weight(1))
      conversion.emit(.elementwise(.add), [sum, try conversion.operand(2)])
    },
    "BiasSoftmax": { conversion in
      guard conversion.node.int("is_inner_broadcast", default: 1) != 0 else {
        return conversion.refuse("with a bias for the outer axes")
      }
      let sum = conversion.combine(.add, try conversion.operand(0), try conversion.operand(1))
      conversion.emit(.trailingSoftmax(axis: conversion.node.int("axis", default: 1), logarithmic: false), [sum])
    },
  ]

  private static let unknown: Converter = { $0.refuse("an operator that the program does not run") }

  /// GELU of the input plus a bias, where there is one.
  private static func gelu(_ conversion: ONNXConversion, approximate: Bool) throws {
    var input = try conversion.operand(0)
    if conversion.node.input(1) != nil { input = conversion.combine(.add, input, try conversion.weight(1)) }
    conversion.emit(.activation(.gelu(approximate: approximate)), [input])
  }

  /// The sum of the first two inputs and a bias; the node may give it as its fourth output.
  private static func skipped(_ conversion: ONNXConversion, bias: Int) throws -> String {
    var sum = conversion.combine(.add, try conversion.operand(0), try conversion.operand(1))
    if conversion.node.input(bias) != nil { sum = conversion.combine(.add, sum, try conversion.weight(bias)) }
    if let output = conversion.output(3) { conversion.emit(output, .identity, [sum]) }
    return sum
  }
}

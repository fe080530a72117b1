import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// Arithmetic, element by element.
extension ONNXOperators {
  static let arithmetic: [String: Converter] = [
    "Add": add, "Sub": elementwise(.subtract), "Mul": elementwise(.multiply), "Pow": power,
    "Div": { conversion in
      let isInteger = conversion.kind(0)?.isInteger ?? false
      conversion.emitNumbers(
        .elementwise(isInteger ? .integerDivide : .divide), try conversion.broadcastOperands())
    },
    "Mod": { conversion in
      let kind: Elementwise = conversion.node.int("fmod", default: 0) != 0 ? .remainder : .modulo
      conversion.emit(.elementwise(kind), try conversion.operands())
    },
    "Min": elementwise(.minimum), "Max": elementwise(.maximum), "Sum": elementwise(.add), "Mean": elementwise(.mean),
    "Equal": elementwise(.equal), "Less": elementwise(.less), "Greater": elementwise(.greater),
    "LessOrEqual": elementwise(.lessOrEqual), "GreaterOrEqual": elementwise(.greaterOrEqual),
    "And": elementwise(.and), "Or": elementwise(.or), "Xor": elementwise(.xor), "Where": elementwise(.select),
    "BitwiseAnd": elementwise(.bitAnd), "BitwiseOr": elementwise(.bitOr), "BitwiseXor": elementwise(.bitXor),
    "BitwiseNot": { conversion in
      // All bits are set in -1, and in the largest number without a sign.
      let kind = conversion.kind(0)
      let ones = kind?.integer?.isSigned ?? true ? -1 : kind?.range?.upperBound ?? -1
      conversion.emit(.elementwise(.subtract), [conversion.number(ones), try conversion.operand(0)])
    },
    "BitShift": { conversion in
      let isLeft = conversion.node.text("direction", default: "") == "LEFT"
      guard !isLeft || conversion.outputKind?.wrap != nil else {
        return conversion.refuse(
          "to the left of whole numbers of 32 bits or more, which single precision does not hold")
      }
      conversion.emitNumbers(.elementwise(isLeft ? .shiftLeft : .shiftRight), try conversion.operands())
    },
    "Neg": function(.negate), "Abs": function(.absolute), "Sign": function(.sign), "Reciprocal": function(.reciprocal),
    "Sqrt": function(.squareRoot), "Exp": function(.exponential), "Log": function(.logarithm),
    "Floor": function(.floor), "Ceil": function(.ceiling), "Round": function(.round), "Erf": function(.erf),
    "Sin": function(.sine), "Cos": function(.cosine), "Tan": function(.tangent), "Asin": function(.arcSine),
    "Acos": function(.arcCosine), "Atan": function(.arcTangent), "Sinh": function(.hyperbolicSine),
    "Cosh": function(.hyperbolicCosine), "Asinh": function(.areaHyperbolicSine),
    "Acosh": function(.areaHyperbolicCosine), "Atanh": function(.areaHyperbolicTangent), "Not": function(.not),
    "IsNaN": function(.isNaN),
    "IsInf": { conversion in
      let node = conversion.node
      let function = ElementFunction.isInfinite(
        positive: node.int("detect_positive", default: 1) != 0, negative: node.int("detect_negative", default: 1) != 0)
      conversion.emit(.function(function), [try conversion.operand(0)])
    },
    "Identity": { $0.emit(.identity, [try $0.operand(0)]) },
    "Dropout": dropout,
    "Cast": { conversion in
      try cast(conversion, to: ONNXElementTypes.Kind(rawValue: conversion.node.int("to", default: 1)))
    },
    "CastLike": { try cast($0, to: $0.kind(1)) },
  ]

  private static func elementwise(_ kind: Elementwise) -> Converter {
    { $0.emitNumbers(.elementwise(kind), try $0.broadcastOperands()) }
  }

  private static func function(_ function: ElementFunction) -> Converter {
    { $0.emitNumbers(.function(function), [try $0.operand(0)]) }
  }

  /// A bias on the last axis joins the product before it.
  private static let add: Converter = { conversion in
    let node = conversion.node
    for (constant, other) in [(1, 0), (0, 1)] {
      guard let bias = node.tensor(constant), node.tensor(other) == nil, bias.shape.count == 1, bias.shape[0] > 1,
        let name = node.input(other), conversion.builder.isMadeByProduct(name)
      else { continue }
      return conversion.emit(.bias(TensorReference(bias.name), layout: .channelsLast), [name])
    }
    conversion.emitNumbers(.elementwise(.add), try conversion.broadcastOperands())
  }

  /// The result has the base's type.
  private static let power: Converter = { conversion in
    let operands = try conversion.broadcastOperands()
    guard conversion.kind(0)?.isInteger ?? false else { return conversion.emit(.elementwise(.power), operands) }
    conversion.emitNumbers(.function(.truncate), [conversion.value(.elementwise(.power), operands)])
  }

  private static let dropout: Converter = { conversion in
    let node = conversion.node
    var isTraining = node.opset < 7 && node.int("is_test", default: 0) == 0
    if node.input(2) != nil {
      guard let mode = try node.number(2) else { return conversion.refuse("whose mode other nodes compute") }
      isTraining = mode != 0
    }
    guard !isTraining else { return conversion.refuse("in training mode") }
    let input = try conversion.operand(0)
    if let mask = conversion.output(1) {
      conversion.emit(mask, .array(.filled(value: 1)), [conversion.shape(input)])
    }
    conversion.emit(.identity, [input])
  }

  private static func cast(_ conversion: ONNXConversion, to kind: ONNXElementTypes.Kind?) throws {
    let input = try conversion.operand(0)
    let source = conversion.kind(0)
    guard let kind, source != .string else { return conversion.refuse("between types that are not known") }
    if kind.isFloatingPoint { return conversion.emit(.identity, [input]) }
    if kind == .bool { return conversion.emit(.function(.toBoolean), [input]) }
    guard let integer = kind.integer else { return conversion.refuse("to numbers of type \(kind)") }
    let whole = source?.isInteger ?? false ? input : conversion.value(.function(.truncate), [input])
    let isWide = source?.integer.map { $0.bits < integer.bits && (integer.isSigned || !$0.isSigned) } ?? false
    guard let wrap = kind.wrap, source != .bool, !isWide else { return conversion.emit(.identity, [whole]) }
    conversion.emit(.function(wrap), [whole])
  }
}

extension ONNXConversion {
  /// The operands of an operator that broadcasts. Up to version 6 the second one begins at an axis of the first.
  fileprivate func broadcastOperands() throws -> [String] {
    var operands = try operands()
    guard node.opset < 7, node.proto.attribute(named: "axis") != nil, operands.count == 2 else { return operands }
    operands[1] = aligned(operands[1], with: operands[0], axis: node.int("axis", default: 0))
    return operands
  }

  /// Makes the node's first output as its type has it: small whole numbers wrap.
  func emitNumbers(_ operation: ArrayOperation, _ inputs: [String]) {
    guard let wrap = outputKind?.wrap else { return emit(operation, inputs) }
    if outputKind?.integer?.bits == 16, operation == .elementwise(.multiply) {
      return refuse("of whole numbers of 16 bits, whose products single precision does not hold")
    }
    emit(.function(wrap), [value(operation, inputs)])
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

import ModelGraph
import TensorCore

/// Reductions.
extension ONNXOperators {
  static let reductions: [String: Converter] = [
    "ReduceSum": reduce(.sum), "ReduceMean": reduce(.mean), "ReduceMax": reduce(.maximum),
    "ReduceMin": reduce(.minimum), "ReduceProd": reduce(.product), "ReduceL1": reduce(.l1), "ReduceL2": reduce(.l2),
    "ReduceSumSquare": reduce(.sumOfSquares), "ReduceLogSum": reduce(.logOfSum),
    "ReduceLogSumExp": reduce(.logOfSumOfExponentials),
    "ArgMax": extremum(largest: true), "ArgMin": extremum(largest: false),
  ]

  private static func reduce(_ kind: Reduction) -> Converter {
    { conversion in
      let axes = try conversion.parameterOperand(1, orAttribute: "axes")
      let operation = ArrayOperation.reduce(
        kind, keepsAxes: conversion.node.int("keepdims", default: 1) != 0,
        ignoresMissingAxes: conversion.node.int("noop_with_empty_axes", default: 0) != 0)
      let operands = [try conversion.operand(0)] + (axes.map { [$0] } ?? [])
      if [.maximum, .minimum].contains(kind), let range = conversion.kind(0)?.range {
        // Nothing at all gives the type's own end.
        let clip = ElementFunction.clip(minimum: Float(range.lowerBound), maximum: Float(range.upperBound))
        return conversion.emit(.function(clip), [conversion.value(operation, operands)])
      }
      // Whole numbers stay whole.
      guard conversion.kind(0)?.isInteger ?? false, !kind.keepsWholeNumbers else {
        return conversion.emit(operation, operands)
      }
      conversion.emit(.function(.truncate), [conversion.value(operation, operands)])
    }
  }

  private static func extremum(largest: Bool) -> Converter {
    { conversion in
      let axis = conversion.node.int("axis", default: 0)
      let keepsAxis = conversion.node.int("keepdims", default: 1) != 0
      let input = try conversion.operand(0)
      let place = ArrayOperation.extremum(axis: axis, largest: largest, keepsAxis: keepsAxis)
      guard conversion.node.int("select_last_index", default: 0) != 0 else { return conversion.emit(place, [input]) }
      // The last of equals is the first from the other end.
      let turned = conversion.value(
        .slice,
        [
          input, conversion.literal([-1]), conversion.literal([-Int(Int32.max)]), conversion.literal([axis]),
          conversion.literal([-1]),
        ])
      let last = conversion.combine(
        .subtract, conversion.reshaped(conversion.extent(input, axis), []), conversion.number(1))
      conversion.emit(.elementwise(.subtract), [last, conversion.value(place, [turned])])
    }
  }
}

extension Reduction {
  fileprivate var keepsWholeNumbers: Bool {
    switch self {
    case .sum, .maximum, .minimum, .product, .sumOfSquares, .l1: true
    case .mean, .l2, .logOfSum, .logOfSumOfExponentials: false
    }
  }
}

import ModelGraph
import TensorCore

/// Operators that take elements from places, or put them there.
extension ONNXOperators {
  static let places: [String: Converter] = [
    "GatherElements": {
      $0.emit(.gatherElements(axis: $0.node.int("axis", default: 0)), [try $0.operand(0), try $0.operand(1)])
    },
    "GatherND": {
      $0.emit(.gatherPoints(batchAxes: $0.node.int("batch_dims", default: 0)), [try $0.operand(0), try $0.operand(1)])
    },
    "Scatter": scatterElements, "ScatterElements": scatterElements,
    "ScatterND": { conversion in
      guard let scattering = scattering(conversion) else { return }
      conversion.emit(.scatterPoints(scattering), try (0...2).map(conversion.operand))
    },
    "TopK": { conversion in
      let node = conversion.node
      let axis = node.int("axis", default: -1)
      let largest = node.int("largest", default: 1) != 0
      let count = node.opset < 10 ? conversion.literal([node.int("k", default: 1)]) : try conversion.operand(1)
      let operands = [try conversion.operand(0), count]
      if let places = conversion.output(1) {
        conversion.emit(places, .array(.top(axis: axis, largest: largest, places: true)), operands)
      }
      if let values = conversion.output(0) {
        conversion.emit(values, .array(.top(axis: axis, largest: largest, places: false)), operands)
      }
    },
    "CumSum": { conversion in
      let node = conversion.node
      guard let axis = try node.number(1).flatMap(Int.init(clampingTruncated:)) else {
        return conversion.refuse("along an axis that other nodes compute")
      }
      conversion.emit(
        .cumulativeSum(
          axis: axis, excludesOwn: node.int("exclusive", default: 0) != 0, fromEnd: node.int("reverse", default: 0) != 0
        ),
        [try conversion.operand(0)])
    },
    "OneHot": { conversion in
      let axis = conversion.node.int("axis", default: -1)
      let depth = conversion.reshaped(try conversion.operand(1), [])
      // An index below 0 counts from the end.
      var index = try conversion.operand(0)
      let isBelow = conversion.combine(.less, index, conversion.number(0))
      index = conversion.combine(.select, isBelow, conversion.combine(.add, index, depth), index)
      index = conversion.value(.unsqueeze, [index, conversion.literal([axis])])
      let range = conversion.value(.range, [conversion.number(0), depth, conversion.number(1)])
      let isHot = conversion.combine(.equal, index, conversion.aligned(range, with: index, axis: axis))
      let values = try conversion.operand(2)
      func part(_ place: Int) -> String {
        conversion.reshaped(
          conversion.value(.slice, [values, conversion.literal([place]), conversion.literal([place + 1])]), [])
      }
      conversion.emit(.elementwise(.select), [isHot, part(1), part(0)])
    },
    "Trilu": { conversion in
      let node = conversion.node
      guard node.input(1) == nil || node.tensor(1) != nil else {
        return conversion.refuse("from a diagonal that other nodes compute")
      }
      let diagonal = Int(clampingTruncated: try node.number(1) ?? 0) ?? 0
      conversion.emit(
        .triangle(upper: node.int("upper", default: 1) != 0, diagonal: diagonal), [try conversion.operand(0)])
    },
    "EyeLike": { conversion in
      let diagonal = conversion.node.int("k", default: 0)
      let ones = conversion.value(.filled(value: 1), [conversion.shape(try conversion.operand(0))])
      let upper = conversion.value(.triangle(upper: true, diagonal: diagonal), [ones])
      conversion.emit(.triangle(upper: false, diagonal: diagonal), [upper])
    },
    "Compress": { conversion in
      guard let condition = try conversion.node.numbers(1) else {
        return conversion.refuse("by a condition that other nodes compute: the output's shape depends on the data")
      }
      let indices = conversion.literal(condition.indices.filter { condition[$0] != 0 })
      let input = try conversion.operand(0)
      guard conversion.node.proto.attribute(named: "axis") != nil else {
        return conversion.emit(.gather(axis: 0), [conversion.reshaped(input, [-1]), indices])
      }
      conversion.emit(.gather(axis: conversion.node.int("axis", default: 0)), [input, indices])
    },
    "ReverseSequence": { conversion in
      let node = conversion.node
      let (time, batch) = (node.int("time_axis", default: 0), node.int("batch_axis", default: 1))
      conversion.emit(.reverse(axis: time, batchAxis: batch), [try conversion.operand(0), try conversion.operand(1)])
    },
  ]

  private static let scatterElements: Converter = { conversion in
    guard let scattering = scattering(conversion) else { return }
    conversion.emit(
      .scatterElements(axis: conversion.node.int("axis", default: 0), scattering), try (0...2).map(conversion.operand))
  }

  private static func scattering(_ conversion: ONNXConversion) -> Scattering? {
    let reduction = conversion.node.text("reduction", default: "none")
    let scattering = Scattering(rawValue: reduction)
    if scattering == nil { conversion.refuse("with the reduction '\(reduction)'") }
    return scattering
  }
}

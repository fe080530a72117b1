import ModelGraph
import TensorCore

/// Operators that move elements, and those that make shapes.
extension ONNXOperators {
  static let shapes: [String: Converter] = [
    "Shape": { conversion in
      let start = conversion.node.int("start", default: 0)
      let end = conversion.node.int("end", default: Int(Int32.max))
      let input = try conversion.operand(0)
      guard start < 0 || end < 0 || end < start else { return conversion.emit(.shape(axes: start..<end), [input]) }
      conversion.emit(
        .slice, [conversion.shape(input), conversion.literal([start]), conversion.literal([end])])
    },
    "Size": { $0.emit(.size, [try $0.operand(0)]) },
    "ConstantOfShape": { conversion in
      var value = 0.0
      if let tensor = conversion.node.proto.attribute(named: "value")?.t {
        value = try tensor.stored { _ in [] }?.decoded(as: Double.self).elements.first ?? 0
      }
      conversion.emit(.filled(value: value), [try conversion.operand(0)])
    },
    "Range": { $0.emit(.range, try $0.operands()) },
    "Reshape": { conversion in
      guard let target = try conversion.parameterOperand(1, orAttribute: "shape") else {
        throw conversion.node.failure("it has no shape")
      }
      conversion.emit(
        .reshape(keepsZero: conversion.node.int("allowzero", default: 0) != 0), [try conversion.operand(0), target])
    },
    "Flatten": { $0.emit(.flatten(axis: $0.node.int("axis", default: 1)), [try $0.operand(0)]) },
    "Squeeze": { conversion in
      let axes = try conversion.parameterOperand(1, orAttribute: "axes")
      conversion.emit(.squeeze, [try conversion.operand(0)] + (axes.map { [$0] } ?? []))
    },
    "Unsqueeze": { conversion in
      guard let axes = try conversion.parameterOperand(1, orAttribute: "axes") else {
        throw conversion.node.failure("it has no axes")
      }
      conversion.emit(.unsqueeze, [try conversion.operand(0), axes])
    },
    "Expand": { $0.emit(.expand, [try $0.operand(0), try $0.operand(1)]) },
    "Tile": { $0.emit(.tile, [try $0.operand(0), try $0.operand(1)]) },
  ]

  static let arrangement: [String: Converter] = [
    "Transpose": { $0.emit(.transpose(order: $0.node.ints("perm")), [try $0.operand(0)]) },
    "Concat": { $0.emit(.concatenate(axis: $0.node.int("axis", default: 1)), try $0.operands()) },
    "Gather": { $0.emit(.gather(axis: $0.node.int("axis", default: 0)), [try $0.operand(0), try $0.operand(1)]) },
    "Slice": slice, "Split": split, "Pad": pad,
    "DepthToSpace": { conversion in
      conversion.emit(
        .depthToSpace(
          block: conversion.node.int("blocksize", default: 1),
          columnsFirst: conversion.node.text("mode", default: "DCR") == "CRD"), [try conversion.operand(0)])
    },
    "SpaceToDepth": { conversion in
      let mode = conversion.node.text("mode", default: "DCR")
      guard mode == "DCR" else { return conversion.refuse("in the mode '\(mode)'") }
      conversion.emit(
        .spaceToDepth(block: conversion.node.int("blocksize", default: 1)), [try conversion.operand(0)])
    },
  ]

  private static let slice: Converter = { conversion in
    let node = conversion.node
    guard let starts = try conversion.parameterOperand(1, orAttribute: "starts"),
      let ends = try conversion.parameterOperand(2, orAttribute: "ends")
    else { throw node.failure("it has no starts or ends") }
    let axes = try conversion.parameterOperand(3, orAttribute: "axes")
    let steps = try node.input(4).map(conversion.builder.operand)
    var operands = [try conversion.operand(0), starts, ends] + (axes.map { [$0] } ?? [])
    if let steps {
      if axes == nil {
        // The first axes, as many as there are steps.
        let count = conversion.reshaped(conversion.value(.size, [steps]), [])
        operands.append(
          conversion.value(.range, [conversion.number(0), count, conversion.number(1)]))
      }
      operands.append(steps)
    }
    conversion.emit(.slice, operands)
  }

  private static let split: Converter = { conversion in
    let node = conversion.node
    let sizes = try conversion.parameterOperand(1, orAttribute: "split")
    let data = try conversion.operand(0)
    let count = node.proto.output.count
    for index in 0..<count {
      guard let output = conversion.output(index) else { continue }
      conversion.builder.append(
        output, layer: node.name,
        .array(.part(axis: node.int("axis", default: 0), index: index, count: count)),
        [data] + (sizes.map { [$0] } ?? []))
    }
  }

  private static let pad: Converter = { conversion in
    let node = conversion.node
    guard let mode = PaddingMode(rawValue: node.text("mode", default: "constant")) else {
      return conversion.refuse("in the mode '\(node.text("mode", default: ""))'")
    }
    guard let pads = try conversion.parameterOperand(1, orAttribute: "pads") else {
      throw node.failure("it has no pads")
    }
    let axes = try node.input(3).map { [try conversion.builder.operand($0)] } ?? []
    let input = try conversion.operand(0)
    if mode == .constant, node.proto.attribute(named: "value") == nil, node.input(2) != nil,
      try node.number(2) == nil
    {
      // The border's value is computed: it shows wherever a border of ones would be zero.
      let ones = conversion.value(.filled(value: 1), [conversion.shape(input)])
      let inside = conversion.value(.pad(.constant, value: 0), [ones, pads] + axes)
      let data = conversion.value(.pad(.constant, value: 0), [input, pads] + axes)
      return conversion.emit(
        .elementwise(.select), [inside, data, conversion.reshaped(try conversion.operand(2), [])])
    }
    let value = try node.number(2) ?? node.float("value", default: 0)
    conversion.emit(.pad(mode, value: value), [input, pads] + axes)
  }
}

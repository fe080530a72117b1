import ModelGraph
import TensorCore

/// Operators that move elements, and those that make shapes.
extension ONNXOperators {
  static let shapes: [String: Converter] = [
    "Shape": { conversion in
      let start = conversion.node.int("start", default: 0)
      let end = conversion.node.int("end", default: .max)
      guard start >= 0, end >= start else { return conversion.refuse("of axes counted from the end") }
      conversion.emit(.shape(axes: start..<end), [try conversion.operand(0)])
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
    "Slice": slice, "Split": split, "Pad": pad, "Resize": resize, "Upsample": upsample,
    "DepthToSpace": { conversion in
      conversion.emit(
        .depthToSpace(
          block: conversion.node.int("blocksize", default: 1),
          columnsFirst: conversion.node.text("mode", default: "DCR") == "CRD"), [try conversion.operand(0)])
    },
    "SpaceToDepth": {
      $0.emit(.spaceToDepth(block: $0.node.int("blocksize", default: 1)), [try $0.operand(0)])
    },
  ]

  private static let slice: Converter = { conversion in
    let node = conversion.node
    guard let starts = try conversion.parameterOperand(1, orAttribute: "starts"),
      let ends = try conversion.parameterOperand(2, orAttribute: "ends")
    else { throw node.failure("it has no starts or ends") }
    let axes = try conversion.parameterOperand(3, orAttribute: "axes")
    let steps = try node.input(4).map(conversion.builder.operand)
    let count = try node.parameter(1, orAttribute: "starts")?.count ?? node.parameter(3, orAttribute: "axes")?.count
    guard let count = count ?? (axes == nil || steps == nil ? nil : 0) else {
      return conversion.refuse("whose count of axes is computed by other nodes")
    }
    conversion.emit(
      .slice,
      [
        try conversion.operand(0), starts, ends, axes ?? conversion.literal(Array(0..<count)),
        steps ?? conversion.literal(Array(repeating: 1, count: count)),
      ])
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
    guard node.input(3) == nil else { return conversion.refuse("of some axes only") }
    guard let pads = try conversion.parameterOperand(1, orAttribute: "pads") else {
      throw node.failure("it has no pads")
    }
    let value: Double
    if node.proto.attribute(named: "value") != nil || node.input(2) == nil {
      value = node.float("value", default: 0)
    } else if let number = try node.number(2) {
      value = number
    } else {
      return conversion.refuse("with a value that other nodes compute")
    }
    conversion.emit(.pad(mode, value: value), [try conversion.operand(0), pads])
  }

  private static let resize: Converter = { conversion in
    let node = conversion.node
    let isOld = node.opset < 11
    let coordinates =
      isOld ? "asymmetric" : node.text("coordinate_transformation_mode", default: "half_pixel")
    guard let transformation = Resizing.Coordinates(rawValue: coordinates) else {
      return conversion.refuse("with coordinates '\(coordinates)'")
    }
    guard node.ints("axes") == nil, node.int("antialias", default: 0) == 0 else {
      return conversion.refuse("of some axes only, or with antialiasing")
    }
    let rounding = Resizing.Rounding(
      rawValue: isOld ? "floor" : node.text("nearest_mode", default: "round_prefer_floor"))
    let method: Resizing.Method
    switch node.text("mode", default: "nearest") {
    case "nearest": method = .nearest(rounding ?? .preferFloor)
    case "linear", "bilinear": method = .linear
    case "cubic":
      method = .cubic(
        coefficient: node.float("cubic_coeff_a", default: -0.75),
        excludesOutside: node.int("exclude_outside", default: 0) != 0)
    default: return conversion.refuse("in the mode '\(node.text("mode", default: ""))'")
    }
    let scales = isOld ? 1 : 2
    let hasScales = node.input(scales) != nil && node.tensor(scales).map { $0.shape != [0] } ?? true
    guard hasScales || node.input(3) != nil else { throw node.failure("it has neither scales nor sizes") }
    conversion.emit(
      .resize(Resizing(size: hasScales ? .factors : .extents, coordinates: transformation, method: method)),
      [try conversion.operand(0), try conversion.operand(hasScales ? scales : 3)])
  }

  private static let upsample: Converter = { conversion in
    let node = conversion.node
    let isNearest = node.text("mode", default: "nearest") == "nearest"
    let scales =
      try node.floats("scales").map {
        conversion.builder.literal(Literal(shape: [$0.count], values: $0))
      } ?? conversion.operand(1)
    conversion.emit(
      .resize(
        Resizing(size: .factors, coordinates: .asymmetric, method: isNearest ? .nearest(.floor) : .linear)),
      [try conversion.operand(0), scales])
  }
}

import ModelGraph
import TensorCore

/// Normalisations.
extension ONNXOperators {
  static let normalizations: [String: Converter] = [
    "BatchNormalization": batchNormalization,
    "InstanceNormalization": { conversion in
      let input = try conversion.operand(0)
      let planes = conversion.reshaped(input, [0, 0, -1])
      let normal = conversion.reshaped(normalized(planes, axes: [2], conversion), as: input)
      conversion.emit(.identity, [try conversion.affine(normal, scale: 1, offset: 2, axis: 1)])
    },
    "GroupNormalization": { conversion in
      let node = conversion.node
      guard node.int("num_groups", default: 0) > 0 else { throw node.failure("it has no num_groups") }
      let input = try conversion.operand(0)
      let groups = conversion.reshaped(input, [0, node.int("num_groups", default: 0), -1])
      var normal = normalized(groups, axes: [2], conversion)
      // Up to version 20 there is one scale for each group, then one for each channel.
      if node.opset < 21 { normal = try conversion.affine(normal, scale: 1, offset: 2, axis: 1) }
      normal = conversion.reshaped(normal, as: input)
      if node.opset >= 21 { normal = try conversion.affine(normal, scale: 1, offset: 2, axis: 1) }
      conversion.emit(.identity, [normal])
    },
    "LayerNormalization": layerNormalization,
    "RMSNormalization": { try rootMeanSquare($0, epsilon: 1e-5) },
    "SimplifiedLayerNormalization": { try rootMeanSquare($0, epsilon: 1e-5) },
    "MeanVarianceNormalization": { conversion in
      let axes = conversion.node.ints("axes") ?? [0, 2, 3]
      let input = try conversion.operand(0)
      let centred = conversion.combine(.subtract, input, conversion.reduced(.mean, input, axes: axes))
      let variance = conversion.reduced(.mean, conversion.combine(.multiply, centred, centred), axes: axes)
      let deviation = conversion.combine(.add, conversion.apply(.squareRoot, variance), conversion.number(1e-9))
      conversion.emit(.elementwise(.divide), [centred, deviation])
    },
    "LpNormalization": { conversion in
      let node = conversion.node
      let input = try conversion.operand(0)
      let norm = conversion.reduced(
        node.int("p", default: 2) == 1 ? .l1 : .l2, input, axes: [node.int("axis", default: -1)])
      // A vector of zeros stays one.
      let isZero = conversion.combine(.equal, norm, conversion.number(0))
      conversion.emit(
        .elementwise(.divide), [input, conversion.combine(.select, isZero, conversion.number(1), norm)])
    },
    "LRN": { conversion in
      let node = conversion.node
      let size = node.int("size", default: 0)
      guard (1...1 << 16).contains(size) else { throw node.failure("it has no size from 1 to \(1 << 16)") }
      let input = try conversion.operand(0)
      // The mean of neighbouring channels is that of the rows of an image with one channel.
      let image = conversion.value(
        .unsqueeze,
        [conversion.reshaped(conversion.combine(.multiply, input, input), [0, 0, -1]), conversion.literal([1])])
      let window = Window(
        stride: [1, 1], dilation: [1, 1],
        padding: .explicit(before: [(size - 1) / 2, 0], after: [size / 2, 0]))
      let means = conversion.value(
        .pooling(
          Pooling(kind: .average, extents: [size, 1], window: window, layout: .channelsFirst, countsPadding: true)),
        [image])
      let scaled = conversion.combine(
        .multiply, conversion.reshaped(means, as: input), conversion.number(node.float("alpha", default: 1e-4)))
      let base = conversion.combine(.add, scaled, conversion.number(node.float("bias", default: 1)))
      let divisor = conversion.combine(.power, base, conversion.number(node.float("beta", default: 0.75)))
      conversion.emit(.elementwise(.divide), [input, divisor])
    },
  ]

  /// With a mean of 0 and a variance of 1.
  private static func normalized(
    _ value: String, axes: [Int], _ conversion: ONNXConversion, epsilon: Double = 1e-5
  ) -> String {
    conversion.value(
      .layerNormalization(
        axes: axes, epsilon: conversion.node.float("epsilon", default: epsilon), gamma: nil, beta: nil), [value])
  }

  private static let batchNormalization: Converter = { conversion in
    let node = conversion.node
    // Up to version 13 further outputs tell the modes apart, read or not.
    guard node.proto.output.dropFirst().allSatisfy(\.isEmpty), node.int("training_mode", default: 0) == 0 else {
      return conversion.refuse("in training mode")
    }
    guard node.opset >= 9 || node.int("spatial", default: 1) != 0 else {
      return conversion.refuse("with statistics of every element")
    }
    let parameters = (1...4).compactMap { index in node.tensor(index).map { TensorReference($0.name) } }
    let epsilon = node.float("epsilon", default: 1e-5)
    let input = try conversion.operand(0)
    guard parameters.count < 4 else {
      return conversion.emit(
        .batchNormalization(
          axis: 1, epsilon: epsilon, gamma: parameters[0], beta: parameters[1], mean: parameters[2],
          variance: parameters[3]), [input])
    }
    let centred = conversion.combine(
      .subtract, input, conversion.aligned(try conversion.weight(3), with: input, axis: 1))
    let deviation = conversion.apply(
      .squareRoot, conversion.combine(.add, try conversion.weight(4), conversion.number(epsilon)))
    let normal = conversion.combine(.divide, centred, conversion.aligned(deviation, with: input, axis: 1))
    conversion.emit(.identity, [try conversion.affine(normal, scale: 1, offset: 2, axis: 1)])
  }

  private static let layerNormalization: Converter = { conversion in
    try normalizeLayer(conversion, try conversion.operand(0), scale: 1, offset: 2, epsilon: 1e-5)
  }

  /// Layer normalisation of a value by the node's attributes and parameters.
  static func normalizeLayer(
    _ conversion: ONNXConversion, _ input: String, scale: Int, offset: Int, epsilon: Double
  ) throws {
    let node = conversion.node
    let axis = node.int("axis", default: -1)
    if node.proto.opType == "LayerNormalization" { emitStatistics(conversion, input, axis, epsilon) }
    if axis < 0, let gamma = node.tensor(scale), axis == -gamma.shape.count,
      node.input(offset) == nil || node.tensor(offset)?.shape == gamma.shape
    {
      return conversion.emit(
        .layerNormalization(
          axes: Array(axis...(-1)), epsilon: node.float("epsilon", default: epsilon),
          gamma: TensorReference(gamma.name), beta: node.tensor(offset).map { TensorReference($0.name) }), [input])
    }
    // All axes from one on are one row.
    let rows =
      axis == -1 ? input : conversion.value(.flatten(axis: axis), [input])
    let normal = conversion.reshaped(normalized(rows, axes: [-1], conversion, epsilon: epsilon), as: input)
    conversion.emit(.identity, [try conversion.affine(normal, scale: scale, offset: offset, axis: nil)])
  }

  /// The mean and the inverse deviation, where somebody reads them.
  private static func emitStatistics(_ conversion: ONNXConversion, _ input: String, _ axis: Int, _ epsilon: Double) {
    let outputs = (1...2).map(conversion.output)
    guard outputs.contains(where: { $0 != nil }) else { return }
    let rows = conversion.value(.flatten(axis: axis), [input])
    let mean = conversion.reduced(.mean, rows, axes: [1])
    let centred = conversion.combine(.subtract, rows, mean)
    let variance = conversion.reduced(.mean, conversion.combine(.multiply, centred, centred), axes: [1])
    let deviation = conversion.apply(
      .squareRoot,
      conversion.combine(.add, variance, conversion.number(conversion.node.float("epsilon", default: epsilon))))
    let outer = conversion.value(
      .slice, [conversion.shape(input), conversion.literal([0]), conversion.literal([axis])])
    for (output, value) in zip(outputs, [mean, conversion.apply(.reciprocal, deviation)]) {
      guard let output else { continue }
      let shaped = conversion.value(.reshape(keepsZero: false), [value, outer])
      conversion.emit(output, .array(.align(axis: 0)), [shaped, input])
    }
  }

  private static func rootMeanSquare(_ conversion: ONNXConversion, epsilon: Double) throws {
    let input = try conversion.operand(0)
    let normal = dividedByRootMeanSquare(
      conversion, input, axis: conversion.node.int("axis", default: -1), epsilon: epsilon)
    conversion.emit(.identity, [try conversion.affine(normal, scale: 1, offset: nil, axis: nil)])
  }

  /// The value divided by the root of its mean square over all axes from one on.
  static func dividedByRootMeanSquare(
    _ conversion: ONNXConversion, _ input: String, axis: Int, epsilon: Double
  ) -> String {
    let rows = axis == -1 ? input : conversion.value(.flatten(axis: axis), [input])
    let mean = conversion.reduced(.mean, conversion.combine(.multiply, rows, rows), axes: [-1])
    let root = conversion.apply(
      .squareRoot,
      conversion.combine(.add, mean, conversion.number(conversion.node.float("epsilon", default: epsilon))))
    return conversion.reshaped(conversion.combine(.divide, rows, root), as: input)
  }
}

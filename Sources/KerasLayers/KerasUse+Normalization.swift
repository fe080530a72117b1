import Basics
import ModelGraph

/// Normalizations that are put together from operations on arrays.
extension KerasUse {
  private func input() throws -> String {
    guard let value = try values().first else { throw layer.withoutInput }
    return value
  }

  /// The axes of the configuration, counted from the front.
  private func normalizedAxes(_ value: String) throws -> [Int] {
    try layer.axes(default: -1).map { try axis($0, of: value) }.sorted()
  }

  private mutating func withMask(of value: String, _ result: String) -> String {
    setMask(mask(of: value), of: result)
    return result
  }

  /// A weight that stretches over the axes that it does not have.
  private mutating func spread(_ name: String, over axes: [Int], rank: Int) throws -> String {
    guard let stored = layer.weights[name], stored.shape.count == axes.count else {
      throw layer.failure("does not fit its weights", "its '\(name)' has another shape than its axes")
    }
    var extents = Array(repeating: 1, count: rank)
    for (axis, extent) in zip(axes, stored.shape) { extents[axis] = extent }
    return try parameter(name, stored.shape, as: extents)
  }

  /// Statistics over a group of channels and all other axes but the batch.
  mutating func groupNormalization() throws -> String {
    let value = try input()
    let rank = try rank(of: value)
    let axis = try axis(try layer.axes(default: -1)[0], of: value)
    let channels = try extent(axis, of: value)
    let stated = try layer.integer("groups", default: 32, atLeast: -1)
    let groups = stated == -1 ? channels : stated
    guard groups > 0, channels % groups == 0, axis > 0 else {
      throw layer.failure("cannot be run", "\(groups) groups do not divide \(channels) channels")
    }
    let others = (0..<rank).map { Extent.extents(value, [$0]) }
    let grouped = try reshape(
      value, others[..<axis] + [.fixed(groups), .fixed(channels / groups)] + others[(axis + 1)...])
    let axes = (1...rank).filter { $0 != axis }
    let centred = elementwise(.subtract, grouped, reduce(.mean, grouped, axes: axes))
    let squares = elementwise(.multiply, centred, centred)
    let variance = elementwise(
      .add, reduce(.mean, squares, axes: axes), scalar(try layer.real("epsilon", default: 1e-3)))
    let normal = elementwise(.divide, centred, function(.squareRoot, of: variance))
    var result = try reshape(normal, others)
    if layer.bool("scale", default: true) {
      result = elementwise(.multiply, result, try spread("gamma", over: [axis], rank: rank))
    }
    if layer.bool("center", default: true) {
      result = elementwise(.add, result, try spread("beta", over: [axis], rank: rank))
    }
    return withMask(of: value, result)
  }

  /// Keras's LayerNormalization with `rms_scaling`: the value, not centred, over its standard deviation.
  mutating func deviationScaling() throws -> String {
    let value = try input()
    let (axes, rank) = (try normalizedAxes(value), try rank(of: value))
    let centred = elementwise(.subtract, value, reduce(.mean, value, axes: axes))
    let variance = reduce(.mean, elementwise(.multiply, centred, centred), axes: axes)
    let epsilon = scalar(try layer.real("epsilon", default: 1e-3))
    var result = elementwise(.divide, value, function(.squareRoot, of: elementwise(.add, variance, epsilon)))
    if layer.bool("scale", default: true) {
      result = elementwise(.multiply, result, try spread("gamma", over: axes, rank: rank))
    }
    return withMask(of: value, result)
  }

  /// The value over its root mean square.
  mutating func rootMeanSquareNormalization() throws -> String {
    let value = try input()
    let (axes, rank) = (try normalizedAxes(value), try rank(of: value))
    let squares = reduce(.mean, elementwise(.multiply, value, value), axes: axes)
    let epsilon = scalar(try layer.real("epsilon", default: 1e-6))
    let normal = elementwise(.divide, value, function(.squareRoot, of: elementwise(.add, squares, epsilon)))
    return elementwise(.multiply, normal, try spread("scale", over: axes, rank: rank))
  }

  /// The value over its norm, which counts as at least 1e-12 since Keras 3, and as at least 1e-6 before.
  mutating func unitNormalization() throws -> String {
    let value = try input()
    let norm = reduce(.l2, value, axes: try normalizedAxes(value))
    let least = scalar(layer.majorVersion >= 3 ? 1e-12 : 1e-6)
    return withMask(of: value, elementwise(.divide, value, elementwise(.maximum, norm, least)))
  }
}

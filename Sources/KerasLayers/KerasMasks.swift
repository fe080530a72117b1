import Basics
import ModelGraph

/// Masks, which say for every sample which steps of a sequence count. Keras hands them on from layer to layer without being told.
enum KerasMasks {
  /// Whether a layer of one input gives its result the input's mask.
  static func pass(_ layer: KerasLayer) -> Bool {
    let name = layer.entry.className
    if always.contains(name) { return true }
    return layer.majorVersion >= 3 && newer.contains(name)
  }

  private static let always: Set<String> = [
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "BatchNormalizationV1",
    "BatchNormalizationV2", "SyncBatchNormalization", "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
    "GroupNormalization", "LayerNormalization", "LeakyReLU", "PReLU", "ReLU", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "ThresholdedReLU", "TimeDistributed", "UnitNormalization",
  ]

  private static let newer: Set<String> = ["Identity", "Normalization", "Rescaling"]
}

extension KerasUse {
  /// The mask that a layer takes: what its call says, or else what its first input carries.
  func ownMask(_ position: Int, of value: String?) throws -> String? {
    if let stated = argument(position, "mask") {
      guard case .leaf(.value(let mask)) = stated else {
        throw layer.failure("cannot be run", "its mask is no tensor")
      }
      return mask
    }
    return value.flatMap { mask(of: $0) }
  }

  /// A mask with an axis for every one of a value, so that it stretches to it.
  mutating func spread(_ mask: String, to value: String) throws -> String {
    let (own, wanted) = (try rank(of: mask), try rank(of: value))
    guard own < wanted else { return mask }
    return expand(mask, axes: Array(own..<wanted))
  }

  /// The elements that the mask leaves are the value's, all others zeros.
  mutating func masked(_ value: String, by mask: String) throws -> String {
    let mask = try spread(mask, to: value)
    let zero = scalar(0)
    return select(mask, value, otherwise: zero)
  }

  /// The mask of a merge's result: where any of the masks holds, unless an input has none.
  mutating func mergedMask(_ inputs: [String]) -> String? {
    let masks = inputs.compactMap { mask(of: $0) }
    guard masks.count == inputs.count, let first = masks.first else { return nil }
    return masks.dropFirst().reduce(first) { elementwise(.or, $0, $1) }
  }

  /// The mask of a concatenation, of which an input without a mask counts wholly.
  mutating func concatenatedMask(_ inputs: [String], axis: Int) throws -> String? {
    guard inputs.contains(where: { mask(of: $0) != nil }) else { return nil }
    let masks = try inputs.map { input in
      let extents = append(.shape(axes: 0..<(try rank(of: input))), [input])
      guard let own = mask(of: input) else { return append(.filled(value: 1), [extents]) }
      let spread = try spread(own, to: input)
      return append(.expand, [spread, extents])
    }
    let all = append(.concatenate(axis: axis), masks)
    return reduce(.maximum, all, axes: [-1], keepsAxes: false)
  }
}

import Basics

/// What tf.keras wrote into configurations and Keras 3 refuses to read, so that the compressed file loads in both even
/// where the original does not.
enum KerasConfigRepair {
  /// Settings by class that say nothing: layers inherited them from others and could have one value only, or ignored them.
  private static let refused: [(classes: [String], keys: [String])] = [
    (
      [
        "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose",
        "Conv2DTranspose", "Conv3DTranspose",
      ], ["groups"]
    ),
    (
      ["SeparableConv1D", "SeparableConv2D"],
      ["kernel_initializer", "kernel_regularizer", "kernel_constraint"]
    ),
    (["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"], ["trainable", "noise_shape"]),
  ]

  static func repaired(_ config: JSON) -> JSON {
    switch config {
    case .array(let items): return .array(items.map(repaired))
    case .object(let object):
      var result = JSONObject(object.pairs.map { ($0.key, repaired($0.value)) })
      guard let name = result["class_name"]?.string, case .object(var settings)? = result["config"] else {
        return .object(result)
      }
      for (classes, keys) in refused where classes.contains(name) {
        for key in keys where key != "groups" || settings[key]?.integer == 1 { settings[key] = nil }
      }
      result["config"] = .object(settings)
      return .object(result)
    case .null, .bool, .number, .string: return config
    }
  }
}

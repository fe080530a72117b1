import Basics

/// What tf.keras wrote into configurations and Keras 3 refuses to read, so that the compressed file loads in both even
/// where the original does not.
enum KerasConfigRepair {
  /// Settings by class that say nothing: layers ignored them, or they have the one value that layers without them have too.
  private static let refused: [(classes: [String], key: String, value: JSON?)] = [
    (
      [
        "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose",
        "Conv2DTranspose", "Conv3DTranspose",
      ], "groups", 1
    ),
    (["SeparableConv1D", "SeparableConv2D"], "kernel_initializer", nil),
    (["SeparableConv1D", "SeparableConv2D"], "kernel_regularizer", nil),
    (["SeparableConv1D", "SeparableConv2D"], "kernel_constraint", nil),
    (spatialDropouts, "trainable", true),
    (spatialDropouts, "noise_shape", .null),
    (["LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"], "time_major", false),
  ]

  /// Where models of TensorFlow 2.12 to 2.15 have their classes, and what Keras 3 finds them by.
  private static let modelClasses = ["Functional": "Model", "Sequential": "Sequential"]
  private static let oldModules = ["keras.engine.", "keras.src.engine."]

  private static let spatialDropouts = ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]

  static func repaired(_ config: JSON) -> JSON {
    switch config {
    case .array(let items): return .array(items.map(repaired))
    case .object(let object):
      var result = JSONObject(object.pairs.map { ($0.key, repaired($0.value)) })
      guard let name = result["class_name"]?.string, case .object(var settings)? = result["config"] else {
        return .object(result)
      }
      for (classes, key, value) in refused where classes.contains(name) {
        if value == nil || settings[key] == value { settings[key] = nil }
      }
      result["config"] = .object(settings)
      if let module = result["module"]?.string, oldModules.contains(where: module.hasPrefix),
        let className = modelClasses[name]
      {
        result["module"] = "keras"
        result["class_name"] = .string(className)
        if result["registered_name"] != nil { result["registered_name"] = .null }
      }
      return .object(result)
    case .null, .bool, .number, .string: return config
    }
  }
}

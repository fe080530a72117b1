import Basics

/// What tf.keras wrote into configurations and Keras 3 refuses to read, so that the compressed file loads in both even
/// where the original does not.
enum KerasConfigRepair {
  static func repaired(_ config: JSON) -> JSON {
    switch config {
    case .array(let items): return .array(items.map(repaired))
    case .object(let object):
      var result = JSONObject(object.pairs.map { ($0.key, repaired($0.value)) })
      // TensorFlow 2.3 and 2.4 inherited the key from Conv2D; only 1 was ever possible.
      if result["class_name"]?.string == "DepthwiseConv2D", case .object(var settings)? = result["config"] {
        settings["groups"] = nil
        result["config"] = .object(settings)
      }
      return .object(result)
    case .null, .bool, .number, .string: return config
    }
  }
}

import Basics
import KerasLayers

/// Rewrites a Keras 1 configuration as Keras 2 says the same thing, so that nothing else knows Keras 1. What is Keras 2
/// already stays as it is.
enum KerasConfigUpgrade {
  static func model(_ json: JSON) throws -> JSON {
    guard var object = json.object, let config = object["config"] else { return json }
    if let layers = config.array {
      object["config"] = ["name": object["name"] ?? "sequential", "layers": .array(try layers.map(layer))]
    } else if var inner = config.object, let layers = inner["layers"]?.array {
      inner["layers"] = .array(try layers.map(layer))
      object["config"] = .object(inner)
    }
    return .object(object)
  }

  /// One entry; a nested model is one too.
  private static func layer(_ json: JSON) throws -> JSON {
    guard var object = json.object, let className = object["class_name"]?.string, let config = object["config"]
    else { return json }
    if KerasModel.isModel(className, config) { return try model(json) }
    guard var settings = config.object else { return json }
    let name = object["name"]?.string ?? settings["name"]?.string ?? className
    let newName = try upgrade(className, &settings, name)
    object["class_name"] = .string(newName)
    object["config"] = .object(settings)
    return .object(object)
  }

  private static let classNames: [String: String] = [
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D", "Deconvolution2D": "Conv2DTranspose",
  ]

  private static let mergeClasses: [String: String] = [
    "sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot",
  ]

  /// Keys that changed nothing but their name.
  private static let keys: [(old: String, new: String)] = [
    ("nb_filter", "filters"), ("border_mode", "padding"), ("subsample", "strides"),
    ("subsample_length", "strides"), ("atrous_rate", "dilation_rate"), ("bias", "use_bias"),
    ("output_dim", "units"), ("filter_length", "kernel_size"), ("init", "kernel_initializer"),
    ("W_regularizer", "kernel_regularizer"), ("b_regularizer", "bias_regularizer"),
    ("W_constraint", "kernel_constraint"), ("b_constraint", "bias_constraint"), ("pool_length", "pool_size"),
    ("stride", "strides"), ("length", "size"), ("dim_ordering", "data_format"), ("p", "rate"),
  ]

  /// Keras 1 layers whose keys are renamed; elsewhere `p`, `bias` or `length` may mean something else.
  private static let renamed: Set<String> = [
    "Conv1D", "Conv2D", "Conv3D", "SeparableConv2D", "Conv2DTranspose", "Dense", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "GlobalMaxPooling2D",
    "GlobalAveragePooling2D", "GlobalMaxPooling3D", "GlobalAveragePooling3D", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D", "Dropout", "SpatialDropout2D",
    "GaussianDropout", "SpatialDropout1D", "SpatialDropout3D",
  ]

  private static func upgrade(_ oldClass: String, _ config: inout JSONObject, _ name: String) throws -> String {
    if oldClass == "Merge" { return merge(&config) }
    let className = classNames[oldClass] ?? oldClass
    if className == "BatchNormalization" {
      // Modes 1 and 2 normalize by the sample or the batch at hand; no later version has them.
      if let mode = config["mode"]?.integer, mode != 0 { return "BatchNormalizationMode\(mode)" }
      for key in ["mode", "beta_init", "gamma_init", "gamma_regularizer", "beta_regularizer"] { config[key] = nil }
    }
    if className == "GaussianNoise", let deviation = config["sigma"] {
      config["sigma"] = nil
      config["stddev"] = deviation
    }
    guard renamed.contains(className) else { return className }
    for axes in [["nb_row", "nb_col"], ["kernel_dim1", "kernel_dim2", "kernel_dim3"]] where config[axes[0]] != nil {
      config["kernel_size"] = .array(axes.map { config[$0] ?? .null })
      for axis in axes { config[axis] = nil }
    }
    for (old, new) in keys {
      guard let value = config[old] else { continue }
      config[old] = nil
      config[new] = value
    }
    for key in [
      "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_initializer",
      "kernel_constraint", "bias_constraint", "depthwise_init", "pointwise_init", "input_dim", "input_length",
      "weights", "output_shape",
    ] where config[key] != nil && config[key]?["class_name"] == nil {
      // Keras 1 writes them in forms that Keras 2 does not read; they matter for training only.
      config[key] = nil
    }
    for key in ["kernel_regularizer", "bias_regularizer"] where config[key]?["class_name"] == nil {
      config[key] = nil
    }
    try upgradeLayout(&config, name)
    return className
  }

  private static func upgradeLayout(_ config: inout JSONObject, _ name: String) throws {
    guard let ordering = config["data_format"]?.string else { return }
    switch ordering {
    case "th": config["data_format"] = "channels_first"
    case "tf": config["data_format"] = "channels_last"
    case "channels_first", "channels_last": break
    default:
      throw Failure(
        "layer '\(name)'", "cannot be read", "its dimension ordering is '\(ordering)'",
        remedy: "expected 'tf' or 'th'")
    }
  }

  private static func merge(_ config: inout JSONObject) -> String {
    guard let mode = config["mode"]?.string, let className = mergeClasses[mode],
      config["layers"]?.array?.isEmpty ?? true
    else { return "Merge" }
    var upgraded: JSONObject = ["name": config["name"] ?? .string(className.lowercased())]
    if className == "Concatenate" { upgraded["axis"] = config["concat_axis"] ?? -1 }
    if className == "Dot" { upgraded["axes"] = config["dot_axes"] ?? -1 }
    config = upgraded
    return className
  }
}

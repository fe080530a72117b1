import Basics

/// A configuration without what its layers' constructors take by themselves: of a small network the configuration is a good part of the file.
///
/// Keras makes the same layers of it. Only layers that every version of Keras has are shortened, and of these only settings whose default is
/// the same in every version.
enum KerasShorterConfig {
  /// The classes with these defaults.
  private static let classes: Set<String> = [
    "Activation", "Add", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization",
    "Concatenate", "Conv1D", "Conv2D",
    "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Dense", "DepthwiseConv1D", "DepthwiseConv2D",
    "Dropout", "Flatten",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D", "ReLU", "Reshape", "SeparableConv1D", "SeparableConv2D", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D",
  ]

  /// Initial values that a layer takes where none are stated.
  private static let initializers = [
    "kernel_initializer": "GlorotUniform", "depthwise_initializer": "GlorotUniform",
    "pointwise_initializer": "GlorotUniform",
    "bias_initializer": "Zeros", "beta_initializer": "Zeros", "gamma_initializer": "Ones",
    "moving_mean_initializer": "Zeros",
    "moving_variance_initializer": "Ones",
  ]

  /// The configuration of a model, or the entry of a nested one.
  static func of(_ json: JSON) -> JSON {
    guard var object = json.object, let config = object["config"] else { return json }
    if var settings = config.object, let layers = settings["layers"]?.array {
      settings["layers"] = .array(layers.map(of))
      object["config"] = .object(settings)
      return .object(object)
    }
    if let layers = config.array {
      object["config"] = .array(layers.map(of))
      return .object(object)
    }
    guard let name = object["class_name"]?.string, classes.contains(name), let settings = config.object else {
      return json
    }
    // A class of somebody else may have a name of Keras's.
    if let module = object["module"]?.string, !module.hasPrefix("keras.") { return json }
    if let registered = object["registered_name"]?.string, registered.contains(">") { return json }
    object["config"] = .object(
      JSONObject(
        settings.pairs.filter { !isUsual($0.key, $0.value, of: name) }.map { ($0.key, shorter($0.key, $0.value)) }))
    return .object(object)
  }

  private static func isUsual(_ key: String, _ value: JSON, of className: String) -> Bool {
    if key.hasSuffix("_regularizer") || key.hasSuffix("_constraint") { return value.isNull }
    if let initializer = initializers[key] {
      return value["class_name"]?.string == initializer
        && (value["config"]?.object?.pairs.allSatisfy { $0.key == "seed" && $0.value.isNull } ?? false)
    }
    switch key {
    case "trainable", "use_bias": return value == true
    case "groups": return value == 1
    case "strides", "dilation_rate":
      // Of a pooling the stride is the window's where none is stated.
      return className.contains("Conv") && value.integers?.allSatisfy { $0 == 1 } == true
    case "activation": return className != "Activation" && value == "linear"
    case "center", "scale": return className == "BatchNormalization" && value == true
    case "momentum": return className == "BatchNormalization" && value.real == 0.99
    case "epsilon": return className == "BatchNormalization" && value.real == 1e-3
    case "renorm", "synchronized": return className == "BatchNormalization" && value == false
    default: return false
    }
  }

  /// Keras 3 states a type as an object; its name alone means the same.
  private static func shorter(_ key: String, _ value: JSON) -> JSON {
    guard key == "dtype", value["class_name"]?.string == "DTypePolicy", let name = value["config"]?["name"] else {
      return value
    }
    return name
  }
}

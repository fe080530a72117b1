import Basics
import ModelGraph

/// Activation layers, and the activation fields of other layers.
extension KerasLayerType {
  static let activations: [String: KerasLayerType] = [
    "Activation": KerasLayerType { layer, _ in
      [.activation(try layer.activation("activation"))]
    },
    "PReLU": KerasLayerType(
      weightNames: { _ in KerasWeightNames(trainable: ["alpha"]) },
      operations: { layer, _ in
        guard let slopes = layer.weights["alpha"] else {
          throw layer.failure("is incomplete", "its weight 'alpha' is missing")
        }
        return [.parametricReLU(slopes: TensorReference(slopes.name))]
      }),
    "ReLU": parametric, "LeakyReLU": parametric, "ELU": parametric, "ThresholdedReLU": parametric,
    "Softmax": KerasLayerType(expansion: { try [$0.softmaxLayer()] }),
  ]

  private static let parametric = KerasLayerType { layer, _ in
    [.activation(try Activation(kerasLayer: layer.entry.className, layer))]
  }
}

extension KerasLayer {
  /// The function that the configuration names, `linear` where it names none.
  func activation(_ key: String) throws -> Activation {
    guard let value = value(key) else { return .linear }
    if let name = value.string { return try named(name) }
    // A serialised object: a function of Keras, or a layer.
    guard let className = value["class_name"]?.string, let config = value["config"] else {
      throw failure("cannot be read", "its '\(key)' is neither a name nor a layer")
    }
    if className == "function" || className == "builtin_function_or_method", let name = config.string {
      return try named(name)
    }
    if className == "Activation", let name = config["activation"]?.string { return try named(name) }
    let object = KerasEntry(
      name: entry.name, prefix: entry.prefix, className: className, config: config, json: value, calls: [],
      model: nil, stepModel: nil)
    return try Activation(kerasLayer: className, KerasLayer(entry: object, majorVersion: majorVersion))
  }

  private func named(_ name: String) throws -> Activation {
    // Keras 3 made hard_sigmoid the function that everybody else means by it.
    if name == "hard_sigmoid" { return majorVersion >= 3 ? .hardSigmoid : .hardSigmoidKeras2 }
    guard let activation = Activation.kerasNames[name] else {
      throw failure("cannot be run", "the program has no activation '\(name)'")
    }
    return activation
  }
}

extension Activation {
  fileprivate static let kerasNames: [String: Activation] = [
    "linear": .linear, "relu": .relu(), "relu6": .relu(maximum: 6), "leaky_relu": .relu(negativeSlope: 0.2),
    "sigmoid": .sigmoid, "tanh": .tanh, "softplus": .softplus, "softsign": .softsign,
    "exponential": .exponential, "swish": .silu, "silu": .silu, "mish": .mish,
    "log_sigmoid": .logSigmoid, "hard_silu": .hardSilu, "hard_swish": .hardSilu, "hard_tanh": .hardTanh,
    "tanh_shrink": .tanhShrink, "sparse_plus": .sparsePlus, "sparse_sigmoid": .sparseSigmoid,
    "squareplus": .squareplus(b: 4), "elu": .elu(alpha: 1), "celu": .celu(alpha: 1), "selu": .selu,
    "gelu": .gelu(approximate: false), "soft_shrink": .softShrink(threshold: 0.5),
    "hard_shrink": .hardShrink(threshold: 0.5), "softmax": .softmax(axis: -1),
    "log_softmax": .logSoftmax(axis: -1), "sparsemax": .sparsemax(axis: -1), "glu": .glu(axis: -1),
  ]

  /// A layer that is an activation without weights.
  fileprivate init(kerasLayer className: String, _ layer: KerasLayer) throws {
    func real(_ key: String, _ fallback: Double) throws -> Float {
      Float(try layer.real(key, default: fallback))
    }
    switch className {
    case "ReLU":
      self = .relu(
        negativeSlope: try real("negative_slope", 0), threshold: try real("threshold", 0),
        maximum: layer.value("max_value") == nil ? nil : try real("max_value", 0))
    case "LeakyReLU":
      self = .relu(negativeSlope: try real(layer.value("alpha") == nil ? "negative_slope" : "alpha", 0.3))
    case "ELU": self = .elu(alpha: try real("alpha", 1))
    case "ThresholdedReLU": self = .threshold(threshold: try real("theta", 1), value: 0)
    case "Softmax":
      let axes = try layer.softmaxAxes()
      guard axes.count == 1 else {
        throw layer.failure("cannot be run", "it takes the softmax over \(axes.count) axes")
      }
      self = .softmax(axis: axes[0])
    default:
      throw layer.failure("cannot be run", "the program has no activation '\(className)'")
    }
  }
}

extension KerasLayer {
  fileprivate func softmaxAxes() throws -> [Int] {
    try value("axis")?.integers ?? [integer("axis", default: -1, atLeast: -8)]
  }
}

extension KerasUse {
  /// A softmax that may leave places out.
  fileprivate mutating func softmaxLayer() throws -> String {
    guard case .leaf(.value(let value))? = arguments.first?.only else { throw layer.withoutInput }
    let axes = try layer.softmaxAxes().map { try axis($0, of: value) }
    guard let mask = try ownMask(1, of: value) else { return softmax(value, axes: axes) }
    guard try rank(of: mask) == rank(of: value) else {
      throw layer.failure("cannot be run", "its mask has other axes than its input")
    }
    let result: String
    if layer.majorVersion >= 3 {
      let shares = softmax(select(mask, value, otherwise: scalar(-1e9)), axes: axes)
      result = select(mask, shares, otherwise: scalar(0))
    } else {
      let less = elementwise(.multiply, function(.not, of: mask), scalar(-1e9))
      result = softmax(elementwise(.add, value, less), axes: axes)
    }
    setMask(self.mask(of: value), of: result)
    return result
  }
}

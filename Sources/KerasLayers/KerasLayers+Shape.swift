import Basics
import ModelGraph

/// Merges, borders, and what moves elements without changing them.
extension KerasLayerType {
  static let merges: [String: KerasLayerType] = [
    "Add": merge { _ in .add }, "Subtract": merge { _ in .subtract }, "Multiply": merge { _ in .multiply },
    "Average": merge { _ in .average }, "Maximum": merge { _ in .maximum }, "Minimum": merge { _ in .minimum },
    "Concatenate": merge { .concatenate(axis: try $0.integer("axis", default: -1, atLeast: -8)) },
    "Dot": merge { layer in
      let axes =
        try layer.value("axes")?.integers
        ?? {
          let axis = try layer.integer("axes", atLeast: -8)
          return [axis, axis]
        }()
      guard axes.count == 2 else { throw layer.failure("cannot be read", "its 'axes' are \(axes)") }
      return .dot(axes: axes, normalizes: layer.bool("normalize", default: false))
    },
  ]

  static let shapings: [String: KerasLayerType] = {
    var table: [String: KerasLayerType] = [
      "Flatten": KerasLayerType { layer, inputRank in
        // Keras brings the channels to the end before it flattens.
        guard try layer.layout() == .channelsFirst else { return [.reshape([-1])] }
        guard let rank = inputRank else {
          throw layer.failure("cannot be run", "the shape of its input is unknown")
        }
        return rank < 3
          ? [.reshape([-1])] : [.permutation([0] + Array(2..<rank) + [1]), .reshape([-1])]
      },
      "Reshape": KerasLayerType { layer, _ in
        guard let shape = layer.value("target_shape")?.integers else {
          throw layer.failure("cannot be read", "its 'target_shape' is no list of whole numbers")
        }
        return [.reshape(shape)]
      },
      "Permute": KerasLayerType { layer, _ in
        guard let order = layer.value("dims")?.integers else {
          throw layer.failure("cannot be read", "its 'dims' are no list of whole numbers")
        }
        return [.permutation([0] + order)]
      },
      "RepeatVector": KerasLayerType { layer, _ in [.repetition(count: try layer.integer("n"))] },
    ]
    for order in 1...3 {
      table["ZeroPadding\(order)D"] = KerasLayerType { layer, _ in
        let border = try layer.border("padding", order)
        return [.padding(before: border.before, after: border.after, value: 0)]
      }
      table["Cropping\(order)D"] = KerasLayerType { layer, _ in
        let border = try layer.border("cropping", order)
        return [.cropping(before: border.before, after: border.after)]
      }
      table["UpSampling\(order)D"] = upsampling(order)
    }
    return table
  }()

  private static func upsampling(_ order: Int) -> KerasLayerType {
    let plain = KerasLayerType { layer, _ in
      let name = try layer.string("interpolation", default: "nearest")
      guard let interpolation = Interpolation(rawValue: name) else {
        throw layer.failure("cannot be run", "it interpolates '\(name)'")
      }
      return [
        .upsampling(factors: try layer.factors(order), interpolation: interpolation, layout: try layer.layout())
      ]
    }
    return KerasLayerType(expansion: { use in
      guard try order == 2 && use.layer.string("interpolation", default: "nearest") == "bicubic",
        let value = try use.values().first
      else { return try plain.expansion(&use) }
      let layout = try use.layer.layout()
      let axes = use.spatialAxes(layout, rank: try use.rank(of: value))
      let sizes = try zip(axes, use.layer.factors(order)).map { try use.extent($0, of: value) * $1 }
      return [try use.resized(value, to: sizes, "bicubic", layout)]
    })
  }

  /// What does nothing in inference.
  static let identities: [String: KerasLayerType] = {
    let names = [
      "InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout",
      "GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity", "RandomFlip", "RandomRotation",
      "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomShear",
      "RandomSaturation", "RandomHue", "RandomColorJitter", "RandomGrayscale", "RandomErasing", "RandomInvert",
      "RandomPosterization", "RandomSharpness", "RandomGaussianBlur", "RandomPerspective",
      "RandomElasticTransform",
    ]
    // Some versions store the state of a random generator with them, so their weights are not counted.
    let identity = KerasLayerType(
      weightNames: { $0.entry.className.hasPrefix("Random") ? nil : KerasWeightNames() },
      operations: { _, _ in [.identity] })
    return Dictionary(names.map { ($0, identity) }) { first, _ in first }
  }()

  private static func merge(_ make: @escaping @Sendable (KerasLayer) throws -> Merge) -> KerasLayerType {
    KerasLayerType(expansion: { use in
      let (inputs, merge) = (try use.values(), try make(use.layer))
      let hasMask = inputs.contains { use.mask(of: $0) != nil }
      switch merge {
      case .maximum where hasMask && use.layer.majorVersion >= 3, .minimum where hasMask && use.layer.majorVersion >= 3:
        throw use.layer.failure("cannot be run", "its inputs are masked")
      case .add, .subtract, .multiply, .average, .maximum, .minimum, .concatenate, .dot: break
      }
      let result = use.append(.merge(merge), inputs)
      switch merge {
      case .concatenate(let axis): use.setMask(try use.concatenatedMask(inputs, axis: axis), of: result)
      case .dot: break
      case .add, .subtract, .multiply, .average, .maximum, .minimum: use.setMask(use.mergedMask(inputs), of: result)
      }
      return [result]
    })
  }
}

extension KerasLayer {
  /// How often every spatial axis is repeated.
  fileprivate func factors(_ order: Int) throws -> [Int] {
    try extents("size", order, default: Array(repeating: 2, count: order))
  }

  /// The border on every axis, the batch and the channels included.
  fileprivate func border(_ key: String, _ order: Int) throws -> (before: [Int], after: [Int]) {
    let (before, after) = try borders(key, order)
    return try layout() == .channelsLast
      ? ([0] + before + [0], [0] + after + [0]) : ([0, 0] + before, [0, 0] + after)
  }
}

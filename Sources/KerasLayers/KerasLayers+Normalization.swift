import Basics
import ModelGraph
import TensorCore

/// Normalizations, and the fixed scalings of preprocessing layers.
extension KerasLayerType {
  static let normalizations: [String: KerasLayerType] = [
    "BatchNormalization": batchNormalization, "SyncBatchNormalization": batchNormalization,
    "BatchNormalizationV1": batchNormalization, "BatchNormalizationV2": batchNormalization,
    "LayerNormalization": KerasLayerType(
      weightNames: { layer in
        let names = layer.scaleAndCenter
        return KerasWeightNames(
          trainable: layer.bool("rms_scaling", default: false) ? names.filter { $0 == "gamma" } : names)
      },
      expansion: { use in
        if use.layer.bool("rms_scaling", default: false) { return [try use.deviationScaling()] }
        return try layerNormalization.expansion(&use)
      }),
    "GroupNormalization": KerasLayerType(
      weightNames: { KerasWeightNames(trainable: $0.scaleAndCenter) },
      expansion: { try [$0.groupNormalization()] }),
    "UnitNormalization": KerasLayerType(expansion: { try [$0.unitNormalization()] }),
    "RMSNormalization": KerasLayerType(
      weightNames: { _ in KerasWeightNames(trainable: ["scale"]) },
      expansion: { try [$0.rootMeanSquareNormalization()] }),
    "Rescaling": KerasLayerType { layer, _ in
      [.scaling(scale: try layer.numbers("scale", default: 1), offset: try layer.numbers("offset", default: 0))]
    },
    "Normalization": KerasLayerType(
      weightNames: { layer in
        KerasWeightNames(fixed: layer.value("mean") == nil ? ["mean", "variance", "count"] : [])
      },
      operations: { layer, rank in [try layer.normalization(rank: rank)] }),
  ]

  private static let layerNormalization = KerasLayerType { layer, _ in
    // Keras keeps gamma and beta in the order of the axes, whatever the order in which they are stated.
    let axes = try layer.axes(default: -1)
    let open = axes.map { _ in Int?.none }
    return [
      .layerNormalization(
        axes: axes, epsilon: try layer.real("epsilon", default: 1e-3),
        gamma: try layer.reference("gamma", open, if: layer.scaleAndCenter.contains("gamma")),
        beta: try layer.reference("beta", open, if: layer.scaleAndCenter.contains("beta")))
    ]
  }

  private static let batchNormalization = KerasLayerType(
    weightNames: {
      KerasWeightNames(trainable: $0.scaleAndCenter, fixed: ["moving_mean", "moving_variance"])
    },
    operations: { layer, _ in
      let axes = try layer.axes(default: -1)
      guard axes.count == 1 else {
        throw layer.failure("cannot be run", "it normalizes along \(axes.count) axes")
      }
      let count = try layer.weight("moving_mean", [nil]).shape[0]
      return [
        .batchNormalization(
          axis: axes[0], epsilon: try layer.real("epsilon", default: 1e-3),
          gamma: try layer.reference("gamma", [count], if: layer.scaleAndCenter.contains("gamma")),
          beta: try layer.reference("beta", [count], if: layer.scaleAndCenter.contains("beta")),
          mean: try layer.reference("moving_mean", [count]),
          variance: try layer.reference("moving_variance", [count]))
      ]
    })
}

extension KerasLayer {
  /// The learned weights of a normalization that are not switched off, in their order.
  fileprivate var scaleAndCenter: [String] {
    (bool("scale", default: true) ? ["gamma"] : []) + (bool("center", default: true) ? ["beta"] : [])
  }

  /// `axis` as one number or a list.
  func axes(default fallback: Int) throws -> [Int] {
    if let list = value("axis")?.integers, !list.isEmpty, list.allSatisfy({ (-8...8).contains($0) }) {
      return list
    }
    return [try integer("axis", default: fallback, atLeast: -8)]
  }

  /// One number or a list of them.
  fileprivate func numbers(_ key: String, default fallback: Double) throws -> [Float] {
    guard let list = value(key)?.array else { return [Float(try real(key, default: fallback))] }
    let numbers = list.compactMap(\.real).map { Float($0) }
    guard numbers.count == list.count, !numbers.isEmpty else {
      throw failure("cannot be read", "its '\(key)' is no list of numbers")
    }
    return numbers
  }

  /// Statistics that were learned are weights; those that were given stand in the configuration.
  ///
  /// - Parameter rank: Of the input; nil where it is unknown.
  fileprivate func normalization(rank: Int?) throws -> Operation {
    guard !bool("invert", default: false) else {
      throw failure("cannot be run", "it inverts a normalization")
    }
    if value("mean") == nil {
      // `axis` is null where one mean serves all elements.
      let axes = value("axis") == nil ? [] : try axes(default: -1)
      let open = axes.map { _ in Int?.none }
      return .normalization(
        axes: axes, mean: try reference("mean", open), variance: try reference("variance", open))
    }
    let (means, variances) = (try flat("mean"), try flat("variance"))
    // Keras 3 writes the axis counted from the front.
    let stated = try axes(default: -1)
    let isLast = stated == [-1] || rank.map { stated == [$0 - 1] } ?? false
    guard means.count == variances.count, !means.isEmpty, isLast || means.count == 1 else {
      throw failure("cannot be run", "its mean and variance are not one number for each channel of the last axis")
    }
    // Keras divides by max(sqrt(variance), epsilon) with its own epsilon, 1e-7.
    let scale = variances.map { 1 / max($0.squareRoot(), 1e-7) }
    return .scaling(
      scale: scale.map { Float($0) }, offset: zip(means, scale).map { Float(-$0 * $1) })
  }

  /// The numbers of a value whose nesting does not matter: `[[[1.0, 2.0]]]`.
  private func flat(_ key: String) throws -> [Double] {
    func numbers(_ json: JSON) throws -> [Double] {
      if let number = json.real { return [number] }
      guard let list = json.array else { throw failure("cannot be read", "its '\(key)' is no list of numbers") }
      return try list.flatMap(numbers)
    }
    return try value(key).map(numbers) ?? []
  }
}

import Basics
import ModelGraph

/// Layers that Keras has for networks of its own (`keras.applications`), and nowhere else.
///
/// In a .h5 file nothing says whose a class is, so one of the same name has to have the same settings.
extension KerasLayerType {
  static let applications: [String: KerasLayerType] = [
    // ConvNeXt's: a factor for every channel.
    "LayerScale": KerasLayerType(
      weightNames: { layer in
        layer.value("projection_dim") == nil || layer.value("init_values") == nil
          ? nil : KerasWeightNames(trainable: ["gamma"])
      },
      expansion: { use in
        let gamma = try use.layer.weight("gamma", [try use.layer.integer("projection_dim")])
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        return [use.elementwise(.multiply, value, try use.parameter("gamma", gamma.shape))]
      }),
    // ConvNeXt's: leaves paths out in training.
    "StochasticDepth": KerasLayerType(expansion: { use in
      _ = try use.layer.real("drop_path_rate")
      guard let value = try use.values().first else { throw use.layer.withoutInput }
      return [value]
    }),
    // InceptionResNetV2's: the first value and a part of the second.
    "CustomScaleLayer": KerasLayerType(expansion: { use in
      let scale = try use.layer.real("scale")
      let values = try use.values()
      guard values.count == 2 else {
        throw use.layer.failure("cannot be run", "it is applied to \(values.count) values")
      }
      return [use.elementwise(.add, values[0], use.elementwise(.multiply, values[1], use.scalar(scale)))]
    }),
  ]
}

import Basics
import ModelGraph

/// Layers around a layer. They cannot be run, but what they hold is listed.
extension KerasLayerType {
  static let wrappers: [String: KerasLayerType] = [
    "TimeDistributed": KerasLayerType(
      weightNames: { layer in
        guard let (type, inner) = layer.wrapped else { return nil }
        return type.weightNames(inner)
      },
      layers: { layer in
        guard let (type, inner) = layer.wrapped else { return [] }
        return try type.layers(inner).map { $0.refused("it is inside a \(layer.entry.className) layer") }
      },
      operations: { layer, _ in throw layer.failure("cannot be run", absence(of: layer.entry)) })
  ]
}

extension KerasLayer {
  /// The layer inside a wrapper and its type, with the wrapper's weights.
  fileprivate var wrapped: (KerasLayerType, KerasLayer)? {
    guard let json = value("layer"), let entry = try? KerasEntry(json, prefix: path + "/"),
      entry.model == nil, let type = KerasLayerType.of(entry)
    else { return nil }
    return (type, KerasLayer(entry: entry, majorVersion: majorVersion, weights: weights))
  }
}

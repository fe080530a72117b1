import Basics
import ModelGraph

/// Layers around a layer.
extension KerasLayerType {
  static let wrappers: [String: KerasLayerType] = [
    "TimeDistributed": KerasLayerType(
      weightNames: { $0.wrapped?.names },
      layers: { layer in try layer.wrappedKernels("it is inside a \(layer.entry.className) layer") },
      expansion: { use in try use.timeDistributed() }),
    // It divides its layer's kernel by the kernel's norm in training, and then leaves it so.
    "SpectralNormalization": KerasLayerType(
      weightNames: { layer in
        guard let names = layer.wrapped?.names else { return nil }
        // Keras 3 stores the kernel with the wrapper too.
        let kernel = names.all.first { $0.hasSuffix("kernel") || $0.hasSuffix("embeddings") }
        var own = KerasWeightNames(fixed: ["vector_u"], places: ["vector_u": ["vars/1"]])
        if let kernel { own.places[kernel] = names.paths(of: kernel) + ["vars/0"] }
        return names + own
      },
      layers: { layer in try layer.wrappedKernels("it is inside a \(layer.entry.className) layer") },
      expansion: { use in
        let (type, inner) = try use.layer.runnableWrapped()
        return try use.apply(type, inner, to: use.arguments)
      }),
  ]
}

extension KerasLayer {
  /// The layer inside a wrapper, with its type and its weights, and the names that the wrapper has for these; nil where it is not known.
  fileprivate var wrapped: (type: KerasLayerType, layer: KerasLayer, names: KerasWeightNames)? {
    guard var inner = part("layer"), let type = KerasLayerType.of(inner.entry), let names = type.weightNames(inner)
    else { return nil }
    inner.weights = weights(inside: "layer")
    return (type, inner, names.inside("layer", isFrozen: !inner.entry.isTrainable))
  }

  fileprivate func wrappedKernels(_ reason: String) throws -> [Layer] {
    guard let (type, inner, _) = wrapped else { return [] }
    return try type.layers(inner).map { $0.refused(reason) }
  }

  fileprivate func runnableWrapped() throws -> (KerasLayerType, KerasLayer) {
    guard let (type, inner, _) = wrapped else {
      throw failure("cannot be run", "it holds a layer that the program does not know")
    }
    return (type, inner)
  }
}

extension KerasUse {
  /// Applies the layer to every step: the steps of all samples are samples to it.
  fileprivate mutating func timeDistributed() throws -> [String] {
    let (type, inner) = try layer.runnableWrapped()
    guard case .leaf(.value(let value))? = arguments.first?.only else {
      throw layer.failure("cannot be run", "it is applied to several values")
    }
    let mask = try ownMask(2, of: value)
    // Layers that read a mask would get that of the steps.
    guard mask == nil || KerasMasks.pass(inner) || inner.entry.className.hasPrefix("Conv") else {
      throw layer.failure("cannot be run", "its input is masked")
    }
    let rank = try rank(of: value)
    guard rank >= 3 else { throw layer.failure("cannot be run", "its input has \(rank) axes") }
    let folded = try reshape(value, [.extents(value, [0, 1])] + (2..<rank).map { .extents(value, [$0]) })
    let results = try apply(type, inner, to: [.leaf(.value(folded))])
    guard results.count == 1, let shape = shape(of: results[0]) else {
      throw layer.failure("cannot be run", "what its layer gives has no known shape")
    }
    let result = try reshape(
      results[0],
      [.extents(value, [0]), .extents(value, [1])] + (1..<max(1, shape.count)).map { .extents(results[0], [$0]) })
    setMask(mask, of: result)
    return [result]
  }
}

extension KerasStructure {
  /// The one thing in a list of one, or the value itself.
  var only: KerasStructure {
    if case .list(let items) = self, items.count == 1 { items[0].only } else { self }
  }
}

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

extension KerasLayerType {
  /// Makes samples of the steps of all samples.
  static let foldingSteps = KerasLayerType(expansion: { use in
    guard case .leaf(.value(let value))? = use.arguments.first?.only else {
      throw use.layer.failure("cannot be run", "it is applied to several values")
    }
    guard try use.ownMask(2, of: value) == nil else {
      throw use.layer.failure("cannot be run", "its input is masked")
    }
    return [try use.folded(value)]
  })

  /// Makes sequences of samples that were steps. Operands: what was made of the steps, and the sequences that they were from.
  static let unfoldingSteps = KerasLayerType(expansion: { use in
    guard use.arguments.count == 2, case .leaf(.value(let steps)) = use.arguments[0].only,
      case .leaf(.value(let sequence)) = use.arguments[1].only
    else { throw use.layer.withoutInput }
    return [try use.unfolded(steps, of: sequence)]
  })
}

extension KerasUse {
  /// Applies the layer to every step: the steps of all samples are samples to it.
  fileprivate mutating func timeDistributed() throws -> [String] {
    let (type, inner) = try layer.runnableWrapped()
    guard case .leaf(.value(let value))? = arguments.first?.only else {
      throw layer.failure("cannot be run", "it is applied to several values")
    }
    // Layers that read a mask would get that of the steps.
    guard try ownMask(2, of: value) == nil || KerasMasks.pass(inner) || inner.entry.className.hasPrefix("Conv") else {
      throw layer.failure("cannot be run", "its input is masked")
    }
    let folded = try folded(value)
    let results = try apply(type, inner, to: [.leaf(.value(folded))])
    guard results.count == 1 else {
      throw layer.failure("cannot be run", "its layer gives \(results.count) results for every step")
    }
    return [try unfolded(results[0], of: value)]
  }

  /// (batch, steps, ...) as (batch * steps, ...).
  fileprivate mutating func folded(_ value: String) throws -> String {
    let rank = try rank(of: value)
    guard rank >= 2 else { throw layer.failure("cannot be run", "its input has \(rank) axes") }
    return try reshape(value, [.extents(value, [0, 1])] + (2..<rank).map { .extents(value, [$0]) })
  }

  fileprivate mutating func unfolded(_ steps: String, of value: String) throws -> String {
    guard let shape = shape(of: steps), !shape.isEmpty else {
      throw layer.failure("cannot be run", "what its layer gives has no known shape")
    }
    let result = try reshape(
      steps, [.extents(value, [0]), .extents(value, [1])] + (1..<shape.count).map { .extents(steps, [$0]) })
    setMask(try ownMask(2, of: value), of: result)
    return result
  }
}

extension KerasStructure {
  /// The one thing in a list of one, or the value itself.
  var only: KerasStructure {
    if case .list(let items) = self, items.count == 1 { items[0].only } else { self }
  }
}

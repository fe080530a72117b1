import Basics
import ModelGraph

/// What the program knows about a class of Keras layers. One table, put together from the files that describe a family
/// each, is all that knows class names.
package struct KerasLayerType: Sendable {
  /// What a layer that is applied to tensors alone does to them: the first operation takes all of them, every other one the result of the
  /// one before. `inputRank` is the count of axes of the first tensor, nil where it is unknown.
  typealias Operations = @Sendable (KerasLayer, _ inputRank: Int?) throws -> [Operation]

  /// Adds the nodes that compute a use of a layer and returns the layer's results.
  typealias Expansion = @Sendable (inout KerasUse) throws -> [String]

  /// The names of a layer's weights; nil where the program cannot know them.
  package let weightNames: @Sendable (KerasLayer) -> KerasWeightNames?
  /// The kernels that the layer holds; checks the weights' shapes.
  package let layers: @Sendable (KerasLayer) throws -> [Layer]
  let expansion: Expansion

  init(
    weightNames: @escaping @Sendable (KerasLayer) -> KerasWeightNames? = { _ in KerasWeightNames() },
    layers: @escaping @Sendable (KerasLayer) throws -> [Layer] = { _ in [] }, expansion: @escaping Expansion
  ) {
    self.weightNames = weightNames
    self.layers = layers
    self.expansion = expansion
  }

  init(
    weightNames: @escaping @Sendable (KerasLayer) -> KerasWeightNames? = { _ in KerasWeightNames() },
    layers: @escaping @Sendable (KerasLayer) throws -> [Layer] = { _ in [] }, operations: @escaping Operations
  ) {
    self.init(weightNames: weightNames, layers: layers) { use in
      let inputs = try use.values()
      var values = inputs
      let rank = values.first.flatMap { use.shape(of: $0) }?.count
      for operation in try operations(use.layer, rank) { values = [use.append(operation, values)] }
      if let first = inputs.first, let result = values.first, KerasMasks.pass(use.layer) {
        use.setMask(use.mask(of: first), of: result)
      }
      return values
    }
  }

  static let all: [String: KerasLayerType] = [
    convolutions, dense, normalizations, activations, poolings, merges, shapings, identities, wrappers, embeddings,
    recurrent, convolutionalRecurrent, attentions, einsums, locals, images, categories, applications,
  ].reduce(into: [:]) { table, family in
    for (name, type) in family {
      precondition(table.updateValue(type, forKey: name) == nil, "two families have the layer '\(name)'")
    }
  }

  /// The type of an entry, nil for what is not Keras's own.
  package static func of(_ entry: KerasEntry) -> KerasLayerType? {
    let module = entry.json["module"]?.string
    let isOwn = module.map { $0.hasPrefix("keras") || $0.hasPrefix("tf_keras") || $0.hasPrefix("tensorflow") } ?? true
    guard isOwn, entry.json["registered_name"]?.string?.contains(">") != true else { return nil }
    if let function = KerasOperators.function(of: entry) { return function.type }
    return all[entry.className]
  }

  /// Why a layer that the table does not have cannot be run.
  static func absence(of entry: KerasEntry) -> String {
    if let function = KerasOperators.name(of: entry) { return "the program has no operator '\(function)'" }
    return switch entry.className {
    case "Lambda": "it holds code, which is never run"
    default: "the program has no such layer"
    }
  }
}

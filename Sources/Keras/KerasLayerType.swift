import Basics
import ModelGraph

/// What the program knows about a class of Keras layers. One table, put together from the files that describe a family
/// each, is all that knows class names.
struct KerasLayerType: Sendable {
  /// The names of a layer's weights in the order in which Keras stores them.
  struct WeightNames: Sendable {
    var trainable: [String] = []
    var fixed: [String] = []
  }

  /// What a layer that is applied to tensors alone does to them: the first operation takes all of them, every other one the result of the
  /// one before. `inputRank` is the count of axes of the first tensor, nil where it is unknown.
  typealias Operations = @Sendable (KerasLayer, _ inputRank: Int?) throws -> [Operation]

  /// Adds the nodes that compute a use of a layer and returns the layer's results.
  typealias Expansion = @Sendable (inout KerasUse) throws -> [String]

  /// The names of a layer's weights; nil where the program cannot know them.
  let weightNames: @Sendable (KerasLayer) -> WeightNames?
  /// The kernels that the layer holds; checks the weights' shapes.
  let layers: @Sendable (KerasLayer) throws -> [Layer]
  let expansion: Expansion

  init(
    weightNames: @escaping @Sendable (KerasLayer) -> WeightNames? = { _ in WeightNames() },
    layers: @escaping @Sendable (KerasLayer) throws -> [Layer] = { _ in [] }, expansion: @escaping Expansion
  ) {
    self.weightNames = weightNames
    self.layers = layers
    self.expansion = expansion
  }

  init(
    weightNames: @escaping @Sendable (KerasLayer) -> WeightNames? = { _ in WeightNames() },
    layers: @escaping @Sendable (KerasLayer) throws -> [Layer] = { _ in [] }, operations: @escaping Operations
  ) {
    self.init(weightNames: weightNames, layers: layers) { use in
      var values = try use.values()
      let rank = values.first.flatMap { use.shape(of: $0) }?.count
      for operation in try operations(use.layer, rank) { values = [use.append(operation, values)] }
      return values
    }
  }

  static let all: [String: KerasLayerType] = [
    convolutions, dense, normalizations, activations, poolings, merges, shapings, identities, wrappers,
  ].reduce(into: [:]) { table, family in
    for (name, type) in family {
      precondition(table.updateValue(type, forKey: name) == nil, "two families have the layer '\(name)'")
    }
  }

  /// The type of an entry, nil for what is not Keras's own.
  static func of(_ entry: KerasEntry) -> KerasLayerType? {
    let isForeign =
      (entry.json["module"]?.string).map { !$0.hasPrefix("keras") } ?? false
      || (entry.json["registered_name"]?.string?.contains(">") ?? false)
    return isForeign ? nil : all[entry.className]
  }

  /// Why a layer that the table does not have cannot be run.
  static func absence(of entry: KerasEntry) -> String {
    switch entry.className {
    case "Lambda", "TFOpLambda", "SlicingOpLambda": "it holds code, which is never run"
    case let name where ["RNN", "LSTM", "GRU"].contains { name.contains($0) }: "it is a recurrent layer"
    case "TimeDistributed", "Bidirectional": "it applies another layer to every step"
    default: "the program has no such layer"
    }
  }
}

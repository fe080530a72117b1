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

  /// What a layer does to its inputs: the first operation takes all of them, every other one the result of the one before.
  typealias Operations = @Sendable (KerasLayer, _ inputRank: () -> Int?) throws -> [Operation]

  /// The names of a layer's weights; nil where the program cannot know them.
  var weightNames: @Sendable (KerasLayer) -> WeightNames? = { _ in WeightNames() }
  /// The kernels that the layer holds; checks the weights' shapes.
  var layers: @Sendable (KerasLayer) throws -> [Layer] = { _ in [] }
  var operations: Operations

  static let all: [String: KerasLayerType] = [
    convolutions, dense, normalizations, activations, poolings, merges, shapings, identities, wrappers,
  ].reduce(into: [:]) { table, family in table.merge(family) { first, _ in first } }

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

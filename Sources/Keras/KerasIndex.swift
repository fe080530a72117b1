import KerasLayers
import ModelGraph

/// What is asked of a Keras model again and again, by name.
struct KerasIndex: Sendable {
  /// Where a layer stands.
  struct Place: Sendable {
    let entry: KerasEntry
    /// The name of the outermost model's layer that is it or holds it.
    let outermost: String
    /// The model whose layer it is.
    let holder: KerasModel
  }

  /// Every layer that is no model, by its path.
  private(set) var places: [String: Place] = [:]
  /// For each layer of the outermost model, by its name, the first layer in it whose weights have no known order.
  private(set) var unknown: [String: KerasEntry] = [:]
  /// Every name of a layer, a model or a group of weights, which no new layer may have.
  private(set) var names: Set<String>
  /// Every kernel, by its name.
  let layers: [String: Layer]

  /// - Parameters:
  ///   - weights: of `file`.
  ///   - layers: every kernel of the file.
  init(_ model: KerasModel, _ weights: KerasWeights, _ file: KerasFile, _ layers: [Layer]) {
    self.layers = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    names = Set(file.layers.map(\.name))
    for entry in model.layers {
      add(entry, of: model, outermost: entry.name)
      unknown[entry.name] = entry.model?.allEntries.first { !weights.knowsOrder(of: $0) }
    }
  }

  private mutating func add(_ entry: KerasEntry, of holder: KerasModel, outermost: String) {
    names.insert(entry.name)
    guard let inner = entry.model else {
      // Of two layers with one path, the first is meant.
      if places[entry.path] == nil {
        places[entry.path] = Place(entry: entry, outermost: outermost, holder: holder)
      }
      return
    }
    for other in inner.layers { add(other, of: inner, outermost: outermost) }
  }
}

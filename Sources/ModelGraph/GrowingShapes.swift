/// The shapes of a network that is still being put together, node by node. Who builds a network asks it about the values that are there.
package struct GrowingShapes {
  private var values: [String: KnownValue] = [:]
  /// What was known when a copy was made that grows on its own; it is never copied itself.
  private let base: [String: KnownValue]

  package init() { base = [:] }

  /// Shapes that grow on top of others, which they leave as they are.
  package init(on other: GrowingShapes) {
    base = other.base.isEmpty ? other.values : other.base.merging(other.values) { $1 }
  }

  /// The shape of a value, nil for an extent that is open; nil as a whole where nothing follows about it.
  package func shape(of value: String) -> [Int?]? { known(value)?.shape }

  private func known(_ value: String) -> KnownValue? { values[value] ?? base[value] }

  package mutating func add(_ input: ModelGraph.Input) { values[input.name] = KnownValue(input.shape) }

  /// Adds a node whose inputs were added before. The value of a node that does not fit its inputs has no shape:
  /// `ModelGraph.shapes` says why.
  package mutating func add(_ node: Node) {
    values[node.name] = try? node.knownValue(of: known)
  }
}

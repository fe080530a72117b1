/// A value as the author of a model arranged it: one thing, or lists and dictionaries of such values.
///
/// Keras takes such a value apart in one order wherever it needs a list (`keras.tree`, and TensorFlow's `nest` before it): lists in their
/// own order, dictionaries by their sorted keys, whatever the order in the file.
package indirect enum KerasStructure<Leaf: Sendable>: Sendable {
  case leaf(Leaf)
  case list([KerasStructure])
  /// Made by `dictionary(_:)`, which sorts.
  case sortedDictionary([(key: String, value: KerasStructure)])

  /// Keys are sorted as Python sorts them, by code points.
  static func dictionary(_ pairs: [(key: String, value: KerasStructure)]) -> KerasStructure {
    .sortedDictionary(
      pairs.sorted { $0.key.unicodeScalars.lexicographicallyPrecedes($1.key.unicodeScalars) })
  }

  /// The single things, in Keras's order.
  package var leaves: [Leaf] {
    switch self {
    case .leaf(let leaf): [leaf]
    case .list(let items): items.flatMap(\.leaves)
    case .sortedDictionary(let pairs): pairs.flatMap(\.value.leaves)
    }
  }

  /// For each of `leaves` the keys and positions that lead to it: `mask`, `boxes/0`; empty for a thing alone.
  var paths: [String] {
    func joined(_ key: String, _ rest: KerasStructure) -> [String] {
      rest.paths.map { $0.isEmpty ? key : key + "/" + $0 }
    }
    return switch self {
    case .leaf: [""]
    case .list(let items): items.enumerated().flatMap { joined(String($0.offset), $0.element) }
    case .sortedDictionary(let pairs): pairs.flatMap { joined($0.key, $0.value) }
    }
  }

  /// Whether a part of the value goes by a key.
  var hasKeys: Bool {
    switch self {
    case .leaf: false
    case .list(let items): items.contains(where: \.hasKeys)
    case .sortedDictionary: true
    }
  }

  /// The same arrangement of other things.
  func map<Other: Sendable>(_ change: (Leaf) throws -> Other) rethrows -> KerasStructure<Other> {
    switch self {
    case .leaf(let leaf): .leaf(try change(leaf))
    case .list(let items): .list(try items.map { try $0.map(change) })
    case .sortedDictionary(let pairs): .sortedDictionary(try pairs.map { ($0.key, try $0.value.map(change)) })
    }
  }
}

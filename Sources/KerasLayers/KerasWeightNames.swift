/// The names of a layer's weights in the order in which Keras stores them.
///
/// Weights of a layer inside the layer go by that layer's attribute too: `cell/kernel`, `forward_layer/cell/bias`.
package struct KerasWeightNames: Sendable, Equatable {
  package var trainable: [String] = []
  package var fixed: [String] = []
  /// Where Keras 3's own format has weights that do not lie as `paths` says otherwise, below the layer's group.
  var places: [String: [String]] = [:]

  /// Names in the order of the file, with the weights that do not lie as `paths` says.
  package init(trainable: [String] = [], fixed: [String] = [], places: [String: [String]] = [:]) {
    (self.trainable, self.fixed, self.places) = (trainable, fixed, places)
  }

  package var all: [String] { trainable + fixed }

  /// Where Keras 3's own format has a weight, below the layer's group: the variables of every part are numbered in their order.
  package func paths(of name: String) -> [String] {
    if let stated = places[name] { return stated }
    let scope = Self.scope(of: name)
    guard let number = all.filter({ Self.scope(of: $0) == scope }).firstIndex(of: name) else { return [] }
    return ["\(scope)vars/\(number)"]
  }

  /// What stands in front of the last part of a name, its slash included.
  private static func scope(of name: String) -> Substring {
    name[..<(name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex)]
  }

  /// The weights of a layer that is a part of another one, under the attribute that holds it.
  ///
  /// - Parameter isFrozen: Whether the part is never trained.
  func inside(_ attribute: String, isFrozen: Bool = false) -> KerasWeightNames {
    func named(_ name: String) -> String { attribute + "/" + name }
    let places = Dictionary(uniqueKeysWithValues: places.map { (named($0.key), $0.value.map(named)) })
    return isFrozen
      ? KerasWeightNames(fixed: all.map(named), places: places)
      : KerasWeightNames(trainable: trainable.map(named), fixed: fixed.map(named), places: places)
  }

  static func + (a: KerasWeightNames, b: KerasWeightNames) -> KerasWeightNames {
    KerasWeightNames(
      trainable: a.trainable + b.trainable, fixed: a.fixed + b.fixed,
      places: a.places.merging(b.places) { first, _ in first })
  }
}

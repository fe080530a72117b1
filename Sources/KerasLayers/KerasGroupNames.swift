/// How Keras 3 names the groups of layers in its own format: by their class, numbered in the order in which Keras counts layers.
package enum KerasGroupNames {
  /// The names of a model's layers in the order in which Keras counts them; a Sequential does not count its input, and operators are no layers.
  package static func layers(of model: KerasModel) -> [String] {
    guard model.isSequential else {
      let operators = Set(model.layers.filter { KerasOperators.name(of: $0) != nil }.map(\.name))
      let names = KerasLayerOrder.names(of: model)
      return operators.isEmpty ? names : names.filter { !operators.contains($0) }
    }
    return model.layers.map(\.name).enumerated()
      .filter { $0.offset > 0 || model.layers[0].className != "InputLayer" }.map(\.element)
  }

  /// The name of each of these layers in the weights file: its class in snake case, numbered from the second on.
  package static func groups(of model: KerasModel) -> [String] {
    let classes = Dictionary(model.layers.map { ($0.name, $0.className) }) { first, _ in first }
    var counts: [String: Int] = [:]
    return layers(of: model).map { name in
      let base = snakeCase(classes[name] ?? "")
      defer { counts[base, default: 0] += 1 }
      return group(base, counts[base] ?? 0)
    }
  }

  /// The name of a layer's group.
  ///
  /// - Parameters:
  ///   - base: its class in snake case.
  ///   - number: how many layers of the class come before it.
  package static func group(_ base: String, _ number: Int) -> String { number == 0 ? base : "\(base)_\(number)" }

  /// As Keras does it: before a capital that small letters follow, and between a small letter and a capital.
  package static func snakeCase(_ name: String) -> String {
    let letters = Array(name.filter { $0.isLetter || $0.isNumber || $0 == "_" })
    var result = ""
    for (index, letter) in letters.enumerated() {
      if index > 0, letter.isUppercase {
        let startsWord = index + 1 < letters.count && letters[index + 1].isLowercase
        if startsWord || letters[index - 1].isLowercase { result += "_" }
      }
      result += letter.lowercased()
    }
    return result
  }
}

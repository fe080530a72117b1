import ModelGraph

extension ONNXModel {
  /// For every layer what the names of its factors begin with: its own name, or it with something behind it where the model has
  /// such names already.
  func partNames(of layers: [Layer]) -> [String: String] {
    // The beginnings of `x.0` and `x.0.weight`.
    let suffix = ".weight"
    var taken = Set(
      (Array(wiring.names) + layers.map(\.name)).compactMap { name -> String? in
        let stem = name.hasSuffix(suffix) ? name.dropLast(suffix.count) : name[...]
        guard let dot = stem.lastIndex(of: "."), stem[stem.index(after: dot)...].allSatisfy(\.isNumber) else {
          return nil
        }
        return String(stem[..<dot])
      })
    var result: [String: String] = [:]
    for layer in layers where !taken.contains(layer.name) { result[layer.name] = layer.name }
    taken.formUnion(result.keys)
    for layer in layers where result[layer.name] == nil {
      var name = layer.name
      while !taken.insert(name).inserted { name += "_" }
      result[layer.name] = name
    }
    return result
  }
}

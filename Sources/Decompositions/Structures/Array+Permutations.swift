extension Array {
  /// All orders of the elements, the given one first.
  var permutations: [[Element]] {
    guard count > 1 else { return [self] }
    return indices.flatMap { first -> [[Element]] in
      var rest = self
      let element = rest.remove(at: first)
      return rest.permutations.map { [element] + $0 }
    }
  }
}

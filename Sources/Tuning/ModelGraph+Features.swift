import ModelGraph

extension ModelGraph {
  /// The values by which a compressed network can be compared with its original inside: those that all that follows depends on alone, such as
  /// the output of a residual block, where a kernel or several nodes read them.
  ///
  /// - Parameter original: nodes that compression left alone have the same names in it.
  /// - Returns: names, in the order of the network; the outputs are left out.
  func features(sharedWith original: ModelGraph) -> [String] {
    let theirs = original.narrowPlaces
    let shown = Set((outputs + original.outputs).map(\.value))
    return nodes.map(\.name).filter(narrowPlaces.intersection(theirs).subtracting(shown).contains)
  }

  /// The network with values inside it as further outputs.
  func showing(_ values: [String]) -> ModelGraph {
    ModelGraph(inputs: inputs, nodes: nodes, outputs: outputs + values.map { Output(name: $0, value: $0) })
  }

  /// Values that cross a place between nodes alone and are read by a kernel or more than once.
  private var narrowPlaces: Set<String> {
    let wiring = Wiring(self)
    let names = nodes.indices.compactMap { index -> String? in
      let crossing = values(crossing: index, wiring)
      return crossing.count == 1 ? crossing[0] : nil
    }
    return Set(
      names.filter { name in
        let readers = wiring.readers(of: name)
        return readers.count > 1 || readers.contains { nodes[$0].operation.roles.contains { $0.1 == .kernel } }
      }
    ).subtracting(inputs.map(\.name))
  }
}

import Recurrent

/// The networks that a budget of parameters allows.
package enum RecurrentBudget {
  /// The parts of the parameters that a canonical term's factors take; the first is what is trained.
  private static let parts = [0.5, 0.125, 0.25, 0.75]

  /// The largest network of a kind with at most so many parameters; none where even the smallest has more. A kind with a rank has several
  /// choices of state and rank, the most balanced first.
  package static func choices(_ kind: RecurrentShape.Kind, inputs: Int, parameters: Int) -> [RecurrentShape] {
    guard kind.hasRank else {
      return [RecurrentShape.largest(kind, inputs: inputs, parameters: parameters)].compactMap(\.self)
    }
    var shapes: [RecurrentShape] = []
    for part in parts {
      // All but the factors first: what a network of this kind has beside them does not depend on the rank.
      let others = Int((1 - part) * Double(parameters))
      func beside(_ hidden: Int) -> Int {
        let shape = RecurrentShape(kind, hidden: hidden, inputs: inputs, rank: 1)
        return shape.parameterCount - (2 * hidden + inputs)
      }
      guard beside(1) <= others else { continue }
      var hidden = 1
      while beside(hidden + 1) <= others { hidden += 1 }
      let rank = (parameters - beside(hidden)) / (2 * hidden + inputs)
      guard rank >= 1 else { continue }
      let shape = RecurrentShape(kind, hidden: hidden, inputs: inputs, rank: rank)
      if !shapes.contains(shape) { shapes.append(shape) }
    }
    return shapes
  }
}

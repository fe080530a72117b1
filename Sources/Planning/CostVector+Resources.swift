import Plans
import Solver

extension CostVector {
  /// The solver's costs: the resources that add up, each in its lane; what is left over is 0.
  init(_ amount: (Resource) -> Double) {
    precondition(Resource.sums.count <= CostVector.scalarCount, "the solver takes \(CostVector.scalarCount) limits")
    self = .zero
    for (lane, resource) in Resource.sums.enumerated() { self[lane] = amount(resource) }
  }

  /// The amounts in the lanes.
  var amounts: Amounts {
    Amounts(Dictionary(uniqueKeysWithValues: Resource.sums.enumerated().map { ($1, Double?.some(self[$0])) }))
  }
}

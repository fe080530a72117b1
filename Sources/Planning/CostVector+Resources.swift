import Plans
import Solver

extension CostVector {
  /// The solver's costs: the resources that add up, each in its lane; what is left over is 0.
  init(_ amount: (Resource) -> Double) {
    precondition(Resource.sums.count <= CostVector.scalarCount, "the solver takes \(CostVector.scalarCount) limits")
    self = .zero
    for (lane, resource) in Resource.sums.enumerated() { self[lane] = amount(resource) }
  }

  /// What stands in each resource's lane.
  var byResource: [Resource: Double] {
    Dictionary(uniqueKeysWithValues: Resource.sums.enumerated().map { ($1, self[$0]) })
  }

  /// The amounts in the lanes.
  var amounts: Amounts {
    var amounts = Amounts()
    for (lane, resource) in Resource.sums.enumerated() { amounts[resource] = self[lane] }
    return amounts
  }
}

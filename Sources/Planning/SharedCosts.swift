import Checkpoints
import Solver

/// Costs that several layers have in common: a file holds equal constants once, however many layers read them.
///
/// The solver wants costs that add up, so each such cost is split among layers. As long as the parts come to no more than the whole, no
/// plan's file is smaller than its parts say, and what the solver proves holds for files. Split among the layers that have it in a
/// plan, the parts are exact for that plan.
struct SharedCosts {
  /// For each layer and option the places of its costs in `sizes`.
  private let uses: [[[Int]]]
  private let sizes: [Double]
  /// For each cost how many layers have an option with it.
  private let reach: [Int]

  /// - Parameters:
  ///   - layers: for each layer and option what it shares.
  ///   - size: in bytes.
  init(_ layers: [[[IntegerVector]]], size: (IntegerVector) throws -> Int) rethrows {
    var places: [IntegerVector: Int] = [:]
    var sizes: [Double] = []
    uses = try layers.map { options in
      try options.map { vectors in
        try vectors.map { vector in
          if let place = places[vector] { return place }
          places[vector] = sizes.count
          sizes.append(Double(try size(vector)))
          return sizes.count - 1
        }
      }
    }
    self.sizes = sizes
    var reach = Array(repeating: 0, count: sizes.count)
    for options in uses {
      for place in Set(options.joined()) { reach[place] += 1 }
    }
    self.reach = reach
  }

  var isEmpty: Bool { sizes.isEmpty }

  /// The options with their parts of the common costs in place of the whole.
  ///
  /// - Parameter picks: the plan whose layers bear what they have; nil, or for what none of them has, all layers that could have it.
  func split(_ groups: [[KnapsackItem]], among picks: [Int]?) -> [[KnapsackItem]] {
    var bearers = Array(repeating: 0, count: sizes.count)
    if let picks {
      for (options, pick) in zip(uses, picks) { for place in options[pick] { bearers[place] += 1 } }
    }
    return groups.indices.map { layer in
      let own = Set(picks.map { uses[layer][$0[layer]] } ?? [])
      return zip(groups[layer], uses[layer]).map { item, places in
        guard !places.isEmpty else { return item }
        let excess = places.reduce(0.0) { sum, place in
          let part =
            bearers[place] == 0
            ? sizes[place] / Double(reach[place]) : own.contains(place) ? sizes[place] / Double(bearers[place]) : 0
          return sum + sizes[place] - part
        }
        return KnapsackItem(costs: item.costs - CostVector(first: excess), loss: item.loss)
      }
    }
  }
}

/// What rules that other tools use choose among the same candidates, to compare plans with.
package enum CommonRule: String, CaseIterable, Sendable {
  /// Every layer has as many times fewer parameters, as far as its candidates go.
  case equalRatio = "equal ratio"
  /// Every layer may err as much (as where ranks follow from a threshold on the singular values, or from VBMF): the smallest candidate
  /// whose discrepancy is below.
  case equalError = "equal error"
  /// From the dense network on, the step of one layer to a smaller candidate that costs the least loss for each byte.
  case greedy
}

extension Planner {
  /// What a rule comes to in a file of at most this size; nil where it finds no plan.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  package func outcome(of rule: CommonRule, bytes budget: Int) throws -> (loss: Double, bytes: Int)? {
    guard layers.allSatisfy({ !$0.options.isEmpty }) else { return nil }
    func size(_ picks: [Int]) throws -> Int { try sizes.denseByteCount + growth(layers, picks) }
    func total(_ picks: [Int]) -> Double { zip(layers, picks).reduce(0) { $0 + $1.0.options[$1.1].loss } }
    switch rule {
    case .greedy:
      var picks = layers.map { $0.options.firstIndex { $0.candidate == nil } ?? 0 }
      while try size(picks) > budget {
        guard let step = cheapestStep(from: picks) else { return nil }
        picks[step.layer] = step.option
      }
      return (total(picks), try size(picks))
    case .equalRatio, .equalError:
      // Every value at which a layer changes, from the largest file to the smallest.
      let values = Set(layers.flatMap { layer in layer.options.map { severity(of: $0, in: layer, rule) } }).sorted()
      var (low, high) = (0, values.count)
      while low < high {
        let middle = (low + high) / 2
        if try size(picks(rule, values[middle])) <= budget { high = middle } else { low = middle + 1 }
      }
      guard low < values.count else { return nil }
      let picks = picks(rule, values[low])
      return (total(picks), try size(picks))
    }
  }

  /// The layer's step to a smaller option with the least loss for each byte that it saves.
  private func cheapestStep(from picks: [Int]) -> (layer: Int, option: Int)? {
    var best: (layer: Int, option: Int)?
    var least = Double.infinity
    for (layer, pick) in picks.enumerated() {
      let current = layers[layer].options[pick]
      for (option, next) in layers[layer].options.enumerated() where next.growth < current.growth {
        let price = (next.loss - current.loss) / Double(current.growth - next.growth)
        if price < least { (least, best) = (price, (layer, option)) }
      }
    }
    return best
  }

  /// The ratio or the discrepancy that an option has.
  private func severity(of option: LayerOptions.Option, in layer: LayerOptions, _ rule: CommonRule) -> Double {
    guard let candidate = option.candidate else { return rule == .equalRatio ? 1 : 0 }
    return rule == .equalRatio
      ? Double(layer.choices.layer.convolution.parameterCount) / Double(max(1, candidate.parameterCount))
      : candidate.outputDiscrepancy
  }

  /// For each layer: of the options with at least this ratio the one of least loss, or of those with at most this discrepancy the
  /// smallest.
  private func picks(_ rule: CommonRule, _ value: Double) -> [Int] {
    layers.map { layer in
      let places = layer.options.indices
      func order(_ place: Int) -> (Double, Int) {
        let option = layer.options[place]
        return rule == .equalRatio ? (option.loss, option.growth) : (Double(option.growth), place)
      }
      let allowed = places.filter { place in
        let own = severity(of: layer.options[place], in: layer, rule)
        return rule == .equalRatio ? own >= value : own <= value
      }
      let smallest = places.min { layer.options[$0].growth < layer.options[$1].growth } ?? 0
      return allowed.min { order($0) < order($1) } ?? smallest
    }
  }
}

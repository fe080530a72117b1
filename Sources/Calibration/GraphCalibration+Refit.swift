import Decompositions
import ModelGraph
import Running
import TensorCore

extension GraphCalibration {
  /// Passes over the network; each begins where the one before ended.
  private static let passes = 3
  private static let refitSweeps = 6
  /// A pass that lowers the loss by less than this part was the last.
  private static let leastGain = 0.02

  /// Fits all layers in the norms of their inputs; then front to back on the inputs that the compressed network gives them, towards the
  /// original's outputs, so that each layer makes up for what those before it lose. A pass that does not lower the loss on the samples
  /// held out is undone.
  ///
  /// - Parameter dense: layers that keep their form and follow the others' changes.
  /// - Throws: `Failure` where the network cannot be run, or LAPACK does not converge.
  package func fit(
    _ planned: [PlannedLayer], following dense: [Layer], seed: UInt64, progress: ProgressHandler
  ) throws -> FittedPlan {
    let statistics = try statistics(of: planned.map(\.layer) + dense, progress: progress)
    let kernels = try planned.map { try checkpoint.kernel(of: $0.layer) }
    let layers = try planned.fitted(of: checkpoint, seed: seed, workers: workers, progress: progress) {
      statistics[$0.name]?.norm
    }
    let layerLosses = try losses(of: planned, kernels, layers, statistics)
    // Layers that keep their kernel follow the others' changes until they are rounded.
    let following = dense + planned.filter { $0.candidate == nil }.map(\.layer)
    var state = try NetworkState(graph, heldOut, workers: workers)
    if let first = planned.compactMap({ firstUse(of: $0.layer) }).min() { try state.advance(to: first, weights) }
    var network = try network(of: planned, kernels, layers, statistics)
    var outputs = try state.outputs(network.weights)
    var notices = notices
    if sampleCount < Self.fewSamples {
      let plain = try self.network(
        of: planned, kernels,
        planned.fitted(of: checkpoint, seed: seed, workers: workers, progress: progress), statistics)
      let plainOutputs = try state.outputs(plain.weights)
      if loss(plainOutputs) < loss(outputs) {
        (network, outputs) = (plain, plainOutputs)
        notices.append("fits to these samples lost more than fits to the weights, which were taken instead")
      }
    }
    var losses = [loss(outputs)]
    for pass in 1...Self.passes {
      let next = try passed(
        network, kernels, following, statistics, task: "refit \(pass)", progress: progress)
      let nextOutputs = try state.outputs(next.weights)
      let (before, after) = (losses[losses.count - 1], loss(nextOutputs))
      guard after < before else { break }
      (network, outputs) = (next, nextOutputs)
      losses.append(after)
      if after > before * (1 - Self.leastGain) { break }
    }
    if planned.contains(where: { $0.storage != .float }) {
      network = try passed(
        network, kernels, following, statistics, rounding: true, task: "round", progress: progress)
      outputs = try state.outputs(network.weights)
      losses.append(loss(outputs))
    }
    let planNames = Set(planned.map(\.layer.name))
    return FittedPlan(
      layers: planned.indices.map { index in
        CompressedLayer(network.layers[index], network.rounded[planned[index].layer.name], of: kernels[index])
      },
      kernels: network.kernels.filter { !planNames.contains($0.key) }, offsets: network.offsets,
      outcome: CalibrationOutcome(
        source: source, samples: sampleCount, heldOut: heldOutCount, losses: losses,
        layerLosses: layerLosses, discrepancy: loss.discrepancy(outputs), agreement: loss.agreement(outputs),
        notices: notices))
  }

  /// The network with these layers, its offsets making up for the means on the original inputs.
  private func network(
    of planned: [PlannedLayer], _ kernels: [Tensor<Double>], _ layers: [FittedLayer?],
    _ statistics: [String: InputStatistics]
  ) throws -> CompressedNetwork {
    var network = CompressedNetwork(planned: planned, layers: layers, weights: weights)
    for (index, item) in planned.enumerated() {
      guard let layer = layers[index] else { continue }
      network.set(index, layer)
      if let mean = statistics[item.layer.name]?.mean,
        let (offset, values) = try meanOffset(
          of: item.layer, for: layer.reconstruct(), insteadOf: kernels[index], mean: mean)
      {
        network.set(offset, values)
      }
    }
    return network
  }

  /// The loss of the network with one layer changed, for each of them.
  private func losses(
    of planned: [PlannedLayer], _ kernels: [Tensor<Double>], _ layers: [FittedLayer?],
    _ statistics: [String: InputStatistics]
  ) throws -> [String: Double] {
    var state = try NetworkState(graph, heldOut, workers: workers)
    let places = planned.indices.compactMap { index in firstUse(of: planned[index].layer).map { ($0, index) } }
    var result: [String: Double] = [:]
    for (node, index) in places.sorted(by: { $0.0 < $1.0 }) {
      guard let fitted = layers[index] else { continue }
      let layer = planned[index].layer
      try state.advance(to: node, weights)
      let changed = try weights(
        with: fitted.reconstruct(), of: layer, insteadOf: kernels[index], mean: statistics[layer.name]?.mean)
      result[layer.name] = loss(try state.outputs(changed))
    }
    return result
  }

  /// One pass front to back.
  ///
  /// - Parameter rounding: whether each layer that is stored as integers is rounded when it has been fitted, so that those behind it make up
  ///   for that.
  private func passed(
    _ network: CompressedNetwork, _ kernels: [Tensor<Double>], _ dense: [Layer],
    _ statistics: [String: InputStatistics], rounding: Bool = false, task: String, progress: ProgressHandler
  ) throws -> CompressedNetwork {
    var network = network
    let planned = Dictionary(uniqueKeysWithValues: network.planned.enumerated().map { ($1.layer.name, $0) })
    var original = try NetworkState(graph, fitted, workers: workers)
    var changed = original
    // A layer that is used several times has several inputs and keeps its fit.
    let items =
      network.planned.enumerated().filter { $1.candidate != nil }.map { (index: Int?.some($0), layer: $1.layer) }
      + dense.map { (index: Int?.none, layer: $0) }
    func isRefitted(_ layer: Layer) -> Bool {
      isMeasurable(layer) && hasWholePatches(layer) && uses(of: layer).count == 1
    }
    let places = items.filter { isRefitted($0.layer) }
      .map { (item: $0, node: uses(of: $0.layer)[0]) }.sorted { $0.node < $1.node }
    if rounding {
      for (index, item) in network.planned.enumerated() where !isRefitted(item.layer) {
        let norm = statistics[item.layer.name]?.norm
        if let rounded = try item.rounded(
          network.layers[index], towards: item.layer.objectives(kernels[index], norm: norm))
        {
          network.set(item.layer, rounded)
        }
      }
    }
    for (number, (item, node)) in places.enumerated() {
      let offset = try offset(of: item.layer)
      let kernel = try item.index.map { kernels[$0] } ?? checkpoint.kernel(of: item.layer)
      try original.advance(to: node, weights)
      try changed.advance(to: node, network.weights)
      let aim = try aim(
        of: node, kernel: kernel, original: original, changed: changed, network.weights, isCentered: offset != nil)
      progress(task, number + 1, of: places.count, item.layer.name)
      var own = network.kernels[item.layer.name] ?? kernel
      var target: FitObjective?
      // What has no norm, inputs that are all alike say, is left as it is.
      if aim.second.isFinite, aim.second.trace > 0 {
        let objective = try FitObjective(
          kernelShape: kernel.shape, secondMoment: aim.second, crossMoment: aim.cross,
          output: statistics[item.layer.name]?.norm.output)
        target = objective
        if let index = item.index {
          network.set(
            index,
            try network.refitted(index, towards: objective, kernel: kernel, sweeps: Self.refitSweeps))
        } else {
          own = objective.kernel
          network.set(item.layer, own)
        }
      }
      if let fitted = item.index.flatMap({ network.layers[$0] }) { own = fitted.reconstruct() }
      if rounding, let index = planned[item.layer.name] {
        let objectives = try target.map { [$0] } ?? item.layer.objectives(own, norm: nil)
        if let rounded = try network.planned[index].rounded(network.layers[index], towards: objectives) {
          network.set(item.layer, rounded)
          own = rounded.kernel
        }
      }
      if let offset {
        network.set(offset, offset.corrected(try weights[offset.tensor], shortfall: aim.shortfall(of: own)))
      }
    }
    return network
  }
}

import Basics
import Checkpoints
import Decompositions
import ModelGraph
import TensorCore

/// What fits on samples came to, measured on those held out.
public struct CalibrationOutcome: Sendable, Equatable {
  /// Where the samples come from.
  public var source: String
  public var samples: Int
  public var heldOut: Int
  /// The loss after every layer's own fit, then after each pass over the network that lowered it.
  public var losses: [Double]
  /// The part of the samples with the same largest class; nil for networks without classes.
  public var agreement: Double?

  var json: JSON {
    [
      "source": .string(source), "samples": .integer(samples), "held_out": .integer(heldOut),
      "losses": .array(losses.map(JSON.real)), "agreement": .optional(agreement, JSON.real),
    ]
  }
}

/// A layer of a plan with what shall become of it.
struct PlannedLayer: Sendable {
  let layer: Layer
  let candidate: Candidate
}

extension Calibration {
  /// Passes over the network; each begins where the one before ended.
  private static let passes = 2
  private static let refitSweeps = 6

  /// Fits all layers in the norms of their inputs; then front to back on the inputs that the compressed network gives them, towards the
  /// original's outputs, so that each layer makes up for what those before it lose. A pass that does not lower the loss on the samples
  /// held out is undone.
  func fit(
    _ planned: [PlannedLayer], seed: UInt64, progress: Progress
  ) throws -> (layers: [FittedLayer], outcome: CalibrationOutcome) {
    let moments = try secondMoments(planned.map(\.layer), progress: progress)
    let counter = Counter()
    let kernels = try planned.map { try checkpoint.kernel(of: $0.layer) }
    var layers = try workers.map(Array(planned.indices)) { index in
      let item = planned[index]
      let fitted = try item.candidate.fit(kernels[index], secondMoment: moments[item.layer.name], seed: seed)
      progress("fit", counter.next(), of: planned.count, item.layer.name)
      return fitted
    }
    var state = try NetworkState(graph, heldOut, workers: workers)
    if let first = planned.compactMap({ uses(of: $0.layer).first }).min() { try state.advance(to: first, weights) }
    func outputs(_ layers: [FittedLayer]) throws -> [Tensor<Float>] { try state.outputs(weights(planned, layers)) }
    var current = try outputs(layers)
    var losses = [loss(current)]
    for pass in 1...Self.passes {
      let refitted = try refit(planned, kernels, layers, pass: pass, progress: progress)
      let outputs = try outputs(refitted)
      guard loss(outputs) < losses[losses.count - 1] else { break }
      (layers, current) = (refitted, outputs)
      losses.append(loss(outputs))
    }
    return (
      layers,
      CalibrationOutcome(
        source: source, samples: sampleCount, heldOut: heldOutCount, losses: losses, agreement: loss.agreement(current))
    )
  }

  private func weights(_ planned: [PlannedLayer], _ layers: [FittedLayer]) -> NetworkWeights {
    zip(planned, layers).reduce(weights) { $0.replacing($1.0.layer, by: $1.1.reconstruct()) }
  }

  /// One pass front to back.
  private func refit(
    _ planned: [PlannedLayer], _ kernels: [Tensor<Double>], _ layers: [FittedLayer], pass: Int, progress: Progress
  ) throws -> [FittedLayer] {
    var layers = layers
    var changedWeights = weights(planned, layers)
    var original = try NetworkState(graph, fitted, workers: workers)
    var changed = original
    // A layer that is used several times has several inputs and keeps its fit.
    let places = planned.indices.filter { isMeasurable(planned[$0].layer) && uses(of: planned[$0].layer).count == 1 }
      .map { (index: $0, node: uses(of: planned[$0].layer)[0]) }.sorted { $0.node < $1.node }
    for (number, (index, node)) in places.enumerated() {
      let (layer, candidate) = (planned[index].layer, planned[index].candidate)
      try original.advance(to: node, weights)
      try changed.advance(to: node, changedWeights)
      let (second, cross) = try moments(of: node, original: original, changed: changed, changedWeights)
      progress("refit \(pass)", number + 1, of: places.count, layer.name)
      // What has no norm, inputs that are all zero say, is left as it is.
      guard let objective = try? FitObjective(kernels[index], secondMoment: second, crossMoment: cross) else { continue }
      layers[index] = candidate.refit(
        layers[index], towards: objective, kernel: kernels[index], sweeps: Self.refitSweeps)
      changedWeights = changedWeights.replacing(layer, by: layers[index].reconstruct())
    }
    return layers
  }
}

import Basics
import Checkpoints
import Decompositions
import Inference
import ModelGraph
import TensorCore

/// A network with samples of what it will see: its layers' inputs give the norms of their fits, its outputs the loss of a plan.
///
/// Most samples are for the fits; the last ones are held out from these and judge.
struct Calibration: Sendable {
  let graph: ModelGraph
  let weights: NetworkWeights
  let fitted: [String: Tensor<Float>]
  let heldOut: [String: Tensor<Float>]
  /// On the samples held out.
  let loss: OutputLoss
  let source: String
  let sampleCount: Int
  /// What the user should know about the samples.
  let notices: [String]
  let workers: Workers
  let checkpoint: Checkpoint

  /// The part of the samples that judges.
  private static let heldOutPart = 0.3
  /// The widest patch whose second moment is kept whole: 8 bytes times its square.
  private static let widestPatch = 2400
  /// The bytes that all samples' values may take where the network stands between two layers.
  private static let stateBytes = 512 << 20
  /// The multiply-accumulates for one layer's moment; more positions tell nothing new.
  private static let momentWork = 6e10

  /// Fewer tell less than the weights do.
  private static let leastSamples = 8
  private static let fewSamples = 64

  /// - Parameter graph: the checkpoint's.
  /// - Throws: `Failure` where the network cannot be run or gives no numbers on the samples, or these tell nothing.
  init(_ checkpoint: Checkpoint, _ graph: ModelGraph, _ samples: Samples, workers: Workers) throws {
    guard samples.count >= Self.leastSamples, !samples.areAlike else {
      throw Failure(
        samples.source, "cannot calibrate",
        samples.count < Self.leastSamples ? "it gives \(samples.count) samples" : "its samples are all alike",
        remedy: "give a few hundred different ones, \(Self.leastSamples) at least, or leave --calibration out")
    }
    for (name, tensor) in samples.inputs where !tensor.isFinite {
      throw Failure(samples.source, "cannot calibrate", "input '\(name)' holds NaN or infinite values")
    }
    guard graph.fixedBatch ?? 1 == 1 else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", "the model is made for \(graph.fixedBatch ?? 0) samples at a time",
        remedy: "export it with an open batch")
    }
    self.graph = graph
    self.checkpoint = checkpoint
    self.workers = workers
    weights = try NetworkWeights(checkpoint, graph)
    source = samples.source
    let shapes = try graph.shapes(inputs: samples.inputs.mapValues { [1] + $0.shape.dropFirst() })
    let widest =
      graph.placesBetweenSamples().map { place in
        graph.values(crossing: place).reduce(0) { $0 + (shapes[$1]?.reduce(1, *) ?? 0) }
      }.max() ?? 1
    // Two networks stand side by side in a refit.
    let most = max(2, Self.stateBytes / (2 * 4 * max(1, widest)))
    let count = min(samples.count, most)
    sampleCount = count
    var notices: [String] = []
    if count < samples.count { notices.append("\(count) of \(samples.count) samples are used, for want of memory") }
    if count < Self.fewSamples {
      notices.append(
        "there are few calibration samples, \(count): what they do not show may be lost (a few hundred are enough)")
    }
    self.notices = notices
    let judges = max(1, Int(Double(count) * Self.heldOutPart))
    fitted = samples.inputs.mapValues { $0.samples(0..<count - judges) }
    heldOut = samples.inputs.mapValues { $0.samples(count - judges..<count) }
    let outputs = try NetworkState(graph, heldOut, workers: workers).outputs(weights)
    guard outputs.allSatisfy(\.isFinite) else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", "its outputs on '\(samples.source)' hold NaN or infinite values",
        remedy: "check --input-scale, --input-mean and --input-std")
    }
    loss = OutputLoss(outputs)
  }

  var heldOutCount: Int { heldOut.values.first?.shape[0] ?? 0 }

  /// The positions of a layer's nodes; empty for a layer that the graph does not use as a plain convolution.
  func uses(of layer: Layer) -> [Int] {
    graph.nodes.indices.filter { index in
      guard graph.nodes[index].layer == layer.name,
        case .convolution(let convolution, _, _, _) = graph.nodes[index].operation
      else { return false }
      return convolution.groups == 1 && convolution.batch == 1
    }
  }

  func isMeasurable(_ layer: Layer) -> Bool {
    layer.refusal == nil && layer.kernelShape.dropFirst().reduce(1, *) <= Self.widestPatch && !uses(of: layer).isEmpty
  }

  // MARK: Moments

  /// The second moment of every measurable layer's inputs, ready for a fit, by the layer's name.
  func secondMoments(_ layers: [Layer], progress: Progress) throws -> [String: Tensor<Double>] {
    var moments: [String: PatchMoments] = [:]
    var state = try NetworkState(graph, fitted, workers: workers)
    let places = layers.filter(isMeasurable).flatMap { layer in uses(of: layer).map { ($0, layer) } }
      .sorted { $0.0 < $1.0 }
    for (number, (node, layer)) in places.enumerated() {
      try state.advance(to: node, weights)
      let input = try state.value(graph.nodes[node].inputs[0], weights)
      let own = try moment(of: node, input, nil)
      if var known = moments[layer.name] {
        known.add(own)
        moments[layer.name] = known
      } else {
        moments[layer.name] = own
      }
      progress("calibrate", number + 1, of: places.count, layer.name)
    }
    let byName = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    var result: [String: Tensor<Double>] = [:]
    for (name, moment) in moments {
      let isShifted = byName[name].map { offset(of: $0) != nil } ?? false
      let second = isShifted ? moment.second.centered(moment.means) : moment.second
      guard second.isFinite, second.trace > 0 else { continue }
      result[name] = second.addingToDiagonal(ridge(second))
    }
    return result
  }

  /// What a node's inputs are in two networks, ready for a refit.
  func comparison(
    of node: Int, original: NetworkState, changed: NetworkState, _ changedWeights: NetworkWeights, isCentered: Bool
  ) throws -> InputComparison {
    let name = graph.nodes[node].inputs[0]
    let moment = try moment(of: node, original.value(name, weights), changed.value(name, changedWeights))
    let means = moment.means
    let second = isCentered ? moment.second.centered((means.changed, means.changed)) : moment.second
    let cross = isCentered ? moment.crossing.centered(means) : moment.crossing
    let ridge = ridge(second)
    return InputComparison(
      second: second.addingToDiagonal(ridge), cross: cross.addingToDiagonal(ridge), input: means.input,
      changed: means.changed)
  }

  private func moment(of node: Int, _ input: Tensor<Float>, _ changed: Tensor<Float>?) throws -> PatchMoments {
    guard case .convolution(let convolution, let layout, _, _) = graph.nodes[node].operation else {
      preconditionFailure("only convolutions are measured")
    }
    let patch = Double(convolution.kernelShape.dropFirst().reduce(1, *))
    let positions = Double(input.count) / Double(max(1, convolution.kernelShape[1]))
    let stride = max(1, Int(positions * patch * patch / Self.momentWork))
    let count = input.shape[0]
    // Parts that do not depend on the number of threads; few where each holds large sums.
    let partCount = patch > 1200 ? 2 : 4
    let size = max(1, (count + partCount - 1) / partCount)
    let parts = try workers.map(Array(Swift.stride(from: 0, to: count, by: size))) { start in
      var moments = PatchMoments(convolution, layout: layout, stride: stride)
      // Sums over few samples keep single precision exact enough.
      for first in Swift.stride(from: start, to: min(start + size, count), by: 32) {
        let range = first..<min(first + 32, start + size, count)
        try moments.add(input.samples(range), changed: changed?.samples(range))
      }
      return moments
    }
    return parts.dropFirst().reduce(into: parts[0]) { $0.add($1) }
  }

  /// What is added to the diagonal: a thousandth of its mean, more where the samples are few for the size of the patch. With very few
  /// the norm is nearly that of the weights.
  private func ridge(_ second: Tensor<Double>) -> Double {
    let patch = Double(second.shape[0])
    let samples = Double(fitted.values.first?.shape[0] ?? 1)
    // Positions of one image are alike: a few of them count.
    return second.trace / patch * (1e-3 + 0.1 * patch / (16 * samples))
  }
}

extension Samples {
  /// Whether every sample is the same.
  fileprivate var areAlike: Bool {
    inputs.values.allSatisfy { tensor in
      let size = tensor.count / max(1, tensor.shape[0])
      return tensor.elements.dropFirst(size).elementsEqual(tensor.elements.dropLast(size))
    }
  }
}

/// What a layer sees in the original network, x, and in a changed one, y.
struct InputComparison: Sendable {
  /// E[y y^T] and E[x y^T], less the products of the means where an offset makes up for these.
  let second: Tensor<Double>
  let cross: Tensor<Double>
  /// E[x] and E[y].
  let input: [Double]
  let changed: [Double]

  /// By how much the mean of the layer's output falls short, channel by channel, when another kernel sees y in place of its own seeing x.
  func shortfall(of kernel: Tensor<Double>, insteadOf own: Tensor<Double>) -> [Double] {
    let (outputs, patch) = (own.shape[0], input.count)
    return (0..<outputs).map { channel in
      (0..<patch).reduce(0.0) { sum, i in
        sum + own.elements[channel * patch + i] * input[i] - kernel.elements[channel * patch + i] * changed[i]
      }
    }
  }
}

extension Tensor where Scalar == Double {
  /// A second moment about the means.
  fileprivate func centered(_ means: (input: [Double], changed: [Double])) -> Tensor {
    let columns = shape[1]
    return Tensor(
      shape: shape,
      elements: elements.enumerated().map { $1 - means.input[$0 / columns] * means.changed[$0 % columns] })
  }

  fileprivate var trace: Double { (0..<shape[0]).reduce(0) { $0 + elements[$1 * shape[1] + $1] } }

  fileprivate func addingToDiagonal(_ value: Double) -> Tensor {
    var elements = elements
    for i in 0..<shape[0] { elements[i * shape[1] + i] += value }
    return Tensor(shape: shape, elements: elements)
  }
}

import Basics
import Decompositions
import Inference
import ModelGraph
import TensorCore
import Training

/// What a layer's inputs say about its fit.
struct InputStatistics: Sendable {
  let norm: FitNorm
  /// E[x] of the input patches.
  let mean: [Double]
}

extension Calibration {
  /// The multiply-accumulates for one layer's moment; more positions tell nothing new.
  private static let momentWork = 6e10
  /// The samples that run through the network and back at once, and the bytes that their values may take.
  private static let gradientPiece = 10
  private static let gradientBytes = 96 << 20

  /// What the inputs of every measurable layer say, by the layer's name.
  func statistics(of layers: [Layer], progress: Progress) throws -> [String: InputStatistics] {
    // A graph whose nodes cannot run one by one, because shapes follow from values, has no gradients; outputs count alike then.
    let outputs = (try? outputNorms(progress: progress)) ?? [:]
    var moments: [String: PatchMoments] = [:]
    var state = try NetworkState(graph, fitted, workers: workers)
    let places = layers.filter(isMeasurable).flatMap { layer in uses(of: layer).map { ($0, layer) } }
      .sorted { $0.0 < $1.0 }
    for (number, (node, layer)) in places.enumerated() {
      try state.advance(to: node, weights)
      let own = try self.moments(of: node, input: state.value(graph.nodes[node].inputs[0], weights))
      if var known = moments[layer.name] {
        known.add(own)
        moments[layer.name] = known
      } else {
        moments[layer.name] = own
      }
      progress("calibrate", number + 1, of: places.count, layer.name)
    }
    let byName = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    var result: [String: InputStatistics] = [:]
    for (name, moment) in moments {
      let isShifted = byName[name].map { offset(of: $0) != nil } ?? false
      let second = isShifted ? moment.second.centered(moment.inputMean, moment.inputMean) : moment.second
      guard second.isFinite, second.trace > 0 else { continue }
      result[name] = InputStatistics(
        norm: FitNorm(secondMoment: second.addingToDiagonal(ridge(second)), output: outputs[name]),
        mean: moment.inputMean)
    }
    return result
  }

  /// - Parameter outputs: what the layer should give for these inputs.
  func moments(of node: Int, input: Tensor<Float>, outputs: Tensor<Float>? = nil) throws -> PatchMoments {
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
        try moments.add(input.samples(range), outputs: outputs?.samples(range))
      }
      return moments
    }
    return parts.dropFirst().reduce(into: parts[0]) { $0.add($1) }
  }

  /// What is added to the diagonal: a thousandth of its mean, more where the samples are few for the size of the patch. With very few
  /// the norm is nearly that of the weights.
  func ridge(_ second: Tensor<Double>) -> Double {
    let patch = Double(second.shape[0])
    let samples = Double(fitted.values.first?.shape[0] ?? 1)
    // Positions of one image are alike: a few of them count.
    return second.trace / patch * (1e-3 + 0.1 * patch / (16 * samples))
  }

  /// What errors of the layers' output channels do to the loss, by the layer's name: the second moments of its gradients, one draw for
  /// every sample (`OutputLoss.gradients`). Layers behind which an operation without an adjoint lies have none.
  private func outputNorms(progress: Progress) throws -> [String: OutputNorm] {
    let nodes = graph.nodes.indices.filter { index in
      if case .convolution = graph.nodes[index].operation { true } else { false }
    }
    let gradients = Backpropagation(graph, wanted: Set(nodes.map { graph.nodes[$0].name }))
    let shapes = try graph.shapes(inputs: fitted.mapValues { [1] + $0.shape.dropFirst() })
    let bytes = 4 * shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
    let piece =
      graph.fixedBatch
      ?? (graph.keepsSamplesApart ? max(1, min(Self.gradientPiece, Self.gradientBytes / max(1, bytes))) : 1)
    let count = fitted.values.first?.shape[0] ?? 0
    // Samples too large to stand side by side run one after the other.
    let hands = bytes > Self.gradientBytes ? Workers(count: 1) : workers
    let starts = Array(stride(from: 0, to: count, by: piece))
    let counter = Counter()
    let parts = try hands.map(starts) { start in
      var sums: [String: Tensor<Double>] = [:]
      var generator = SplitMix64(seed: UInt64(start))
      let inputs = fitted.mapValues { $0.samples(start..<min(start + piece, count)) }
      try gradients.run(inputs) {
        try weights[$0]
      } outputGradients: { outputs in
        loss.gradients(of: outputs, using: &generator)
      } observe: { name, gradient in
        sums[name] = gradient.channelMoment(of: graph.nodes.first { $0.name == name }?.operation)
      }
      progress("gradients", counter.next(), of: starts.count, "")
      return sums
    }
    var result: [String: OutputNorm] = [:]
    for (layer, nodes) in Dictionary(grouping: nodes, by: { graph.nodes[$0].layer }) {
      let moments = nodes.sorted().flatMap { node in parts.compactMap { $0[graph.nodes[node].name] } }
      guard let first = moments.first, moments.count == nodes.count * parts.count else { continue }
      var sum = first.elements
      for moment in moments.dropFirst() {
        for i in sum.indices { sum[i] += moment.elements[i] }
      }
      result[layer] = try? OutputNorm(Tensor(shape: first.shape, elements: sum))
    }
    return result
  }
}

extension Tensor where Scalar == Float {
  /// The sum over samples and positions of g g^T, g the channels of a convolution's output: (out x out).
  fileprivate func channelMoment(of operation: Operation?) -> Tensor<Double>? {
    guard case .convolution(let convolution, let layout, _, _) = operation else { return nil }
    let isLast = layout == .channelsLast || convolution.spatialOrder == 0
    let last = isLast ? self : permuted([0] + Array(2..<order) + [1])
    let channels = last.shape[order - 1]
    return last.reshaped([last.count / Swift.max(1, channels), channels]).gram(ofColumns: true)
      .converted(to: Double.self)
  }
}

extension Tensor where Scalar == Double {
  /// A matrix of products about the means.
  func centered(_ rowMeans: [Double], _ columnMeans: [Double]) -> Tensor {
    let columns = shape[1]
    return Tensor(
      shape: shape, elements: elements.enumerated().map { $1 - rowMeans[$0 / columns] * columnMeans[$0 % columns] })
  }
}

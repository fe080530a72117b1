import Basics
import Decompositions
import Inference
import LinearAlgebra
import ModelGraph
import Running
import TensorCore
import Training

extension GraphCalibration {
  /// The multiply-accumulates for one layer's moment; more positions tell nothing new.
  private static let momentWork = 6e10
  /// The samples that run through the network and back at once, and the bytes that their values may take.
  private static let gradientPiece = 10
  private static let gradientBytes = 96 << 20
  /// The samples whose channels are multiplied at once: few enough that single precision is exact enough.
  private static let channelPiece = 32

  /// What the inputs of every measurable layer say, by the layer's name.
  ///
  /// - Throws: `Failure` where the network cannot be run.
  package func statistics(of layers: [Layer], progress: ProgressHandler) throws -> [String: InputStatistics] {
    let outputs = try outputNorms(progress: progress)
    var moments: [String: Moments] = [:]
    var state = try NetworkState(graph, fitted, workers: workers)
    let places = layers.filter(isMeasurable).flatMap { layer in uses(of: layer).map { ($0, layer) } }
      .sorted { $0.0 < $1.0 }
    for (number, (node, layer)) in places.enumerated() {
      try state.advance(to: node, weights)
      let input = try state.value(graph.nodes[node].inputs[0], weights)
      let own =
        try hasWholePatches(layer)
        ? self.moments(of: node, input: input).moments : channelMoments(of: node, input: input)
      moments[layer.name] = moments[layer.name]?.joined(with: own) ?? own
      progress("calibrate", number + 1, of: places.count, layer.name)
    }
    var result: [String: InputStatistics] = [:]
    for layer in layers {
      guard let moment = moments[layer.name] else { continue }
      let second =
        try offset(of: layer) == nil ? moment.second : moment.second.centered(moment.mean, moment.mean)
      guard second.isFinite, second.trace > 0 else { continue }
      let ridged = second.addingToDiagonal(ridge(second))
      if hasWholePatches(layer) {
        result[layer.name] = InputStatistics(
          norm: FitNorm(secondMoment: ridged, output: outputs[layer.name]), mean: moment.mean)
      } else {
        let norm = try ModeNorm(ridged)
        let taps = layer.kernelShape.dropFirst(2).reduce(1, *)
        result[layer.name] = InputStatistics(
          norm: FitNorm(input: norm, output: outputs[layer.name]),
          mean: moment.mean.flatMap { Array(repeating: $0, count: taps) })
      }
    }
    return result
  }

  /// The moments of the input channels over all positions.
  private func channelMoments(of node: Int, input: Tensor<Float>) throws -> Moments {
    let operation = graph.nodes[node].operation
    let channels = input.samples(0..<1).channelRows(of: operation).shape[1]
    let none = MomentSums(rows: channels, columns: channels)
    return try workers.reducePieces(of: input.shape[0], size: Self.channelPiece, into: none) { range in
      let rows = input.samples(range).channelRows(of: operation)
      return (count: rows.shape[0], sums: rows.channelSums(1), products: rows.gram(ofColumns: true))
    } _: { sums, part in
      sums.add(sums: part.sums, count: part.count)
      sums.add(products: part.products.elements)
    }.moments
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
    let parts = try workers.mapPieces(of: count, size: size) { part in
      var moments = PatchMoments(convolution, layout: layout, stride: stride)
      // Sums over few samples keep single precision exact enough.
      for first in Swift.stride(from: part.lowerBound, to: part.upperBound, by: 32) {
        let range = first..<min(first + 32, part.upperBound)
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
    let samples = Double(max(1, fittedCount))
    // Positions of one image are alike: a few of them count.
    return second.trace / patch * (1e-3 + 0.1 * patch / (16 * samples))
  }

  /// What errors of the layers' output channels do to the loss, by the layer's name: the second moments of its gradients, one draw for
  /// every sample (`OutputLoss.gradients`). Layers behind which an operation without an adjoint lies have none.
  private func outputNorms(progress: ProgressHandler) throws -> [String: ModeNorm] {
    let nodes = graph.nodes.indices.filter { index in
      if case .convolution = graph.nodes[index].operation { true } else { false }
    }
    let gradients = Backpropagation(graph, wanted: Set(nodes.map { graph.nodes[$0].name }))
    let shapes = try graph.shapes(inputs: fitted.samples(0..<1, axes).mapValues(\.shape))
    guard hasGradients(shapes) else { return [:] }
    let bytes = 4 * shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
    let piece = axes.batch ?? max(1, min(Self.gradientPiece, Self.gradientBytes / max(1, bytes)))
    let count = fittedCount
    // Samples too large to stand side by side run one after the other.
    let hands = bytes > Self.gradientBytes ? Workers(count: 1) : workers
    let counter = Counter()
    let pieces = (count + piece - 1) / piece
    let sums = try hands.reducePieces(of: count, size: piece, into: [String: Tensor<Double>]()) { range in
      var grams: [String: Tensor<Float>] = [:]
      var generator = SplitMix64(seed: UInt64(range.lowerBound))
      let inputs = fitted.samples(range, axes)
      try gradients.run(inputs) {
        try weights[$0]
      } outputGradients: { outputs in
        loss.gradients(of: outputs, using: &generator)
      } observe: { name, gradient in
        if let operation = graph.nodes.first(where: { $0.name == name })?.operation {
          grams[name] = gradient.channelRows(of: operation).gram(ofColumns: true)
        }
      }
      progress("gradients", counter.next(), of: pieces, "")
      return grams
    } _: { sums, grams in
      for (name, gram) in grams {
        let gram = gram.converted(to: Double.self)
        sums[name] = sums.removeValue(forKey: name)?.adding(gram) ?? gram
      }
    }
    var result: [String: ModeNorm] = [:]
    for (layer, nodes) in Dictionary(grouping: nodes, by: { graph.nodes[$0].layer }) {
      let moments = nodes.sorted().compactMap { sums[graph.nodes[$0].name] }
      guard let first = moments.first, moments.count == nodes.count else { continue }
      let moment = moments.dropFirst().reduce(first) { $0.adding($1) }
      // A layer whose outputs nothing depends on has no gradients: its channels count alike.
      if moment.isFinite, moment.trace > 0 { result[layer] = try ModeNorm(moment) }
    }
    return result
  }

  /// Whether every node can run by itself, so that gradients can go back. A network whose shapes follow from values has none, and
  /// the channels of every layer's output count alike.
  func hasGradients(_ shapes: [String: [Int]]) -> Bool { graph.nodes.allSatisfy { shapes[$0.name] != nil } }
}

extension Tensor where Scalar == Float {
  /// The channels of a convolution's input or output at every sample and position: (positions x channels).
  fileprivate func channelRows(of operation: Operation) -> Tensor {
    guard case .convolution(let convolution, let layout, _, _) = operation else {
      preconditionFailure("only convolutions have such channels")
    }
    let isLast = layout == .channelsLast || convolution.spatialOrder == 0
    let last = isLast ? self : permuted([0] + Array(2..<order) + [1])
    let channels = last.shape[order - 1]
    return last.reshaped([last.count / Swift.max(1, channels), channels])
  }
}

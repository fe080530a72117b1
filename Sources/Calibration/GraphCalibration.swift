import Basics
import Checkpoints
import ModelGraph
import Running
import TensorCore

/// A network with samples of what it will see: its layers' inputs give the norms of their fits, its outputs the loss of a plan.
///
/// Most samples are for the fits; the last ones are held out from these and judge.
package struct GraphCalibration: Calibrator {
  package let graph: ModelGraph
  /// Which axes of the network's values count the samples.
  let axes: SampleAxes
  let weights: NetworkWeights
  let fitted: [String: Tensor<Float>]
  let heldOut: [String: Tensor<Float>]
  let fittedCount: Int
  let heldOutCount: Int
  /// The loss on the samples held out.
  package let loss: OutputLoss
  let source: String
  package let sampleCount: Int
  /// What the user should know about the samples.
  package let notices: [String]
  let workers: Workers
  let checkpoint: Checkpoint
  /// The widest patch, and the most input channels, whose second moment is kept whole: 8 bytes times the square.
  package var widestPatch = 2400

  /// The part of the samples that judges.
  private static let heldOutPart = 0.3
  private static let mostHeldOut = 300
  /// The bytes that all samples' values may take where the network stands between two layers.
  private static let stateBytes = 512 << 20

  /// Fewer tell less than the weights do.
  private static let leastSamples = 8
  /// Fewer must prove themselves against fits to the weights.
  package static let fewSamples = 64

  /// - Parameter graph: the checkpoint's.
  /// - Throws: `Failure` where the network cannot be run or gives no numbers on the samples, or these tell nothing.
  package init(_ checkpoint: Checkpoint, _ graph: ModelGraph, _ samples: Samples, workers: Workers) throws {
    guard samples.count >= Self.leastSamples, !samples.areAlike else {
      throw Failure(
        samples.source, "cannot calibrate",
        samples.count < Self.leastSamples ? "it gives \(samples.count) samples" : "its samples are all alike",
        remedy: "give a few hundred different ones, \(Self.leastSamples) at least, or leave --calibration out")
    }
    for (name, tensor) in samples.inputs where !tensor.isFinite {
      throw Failure(samples.source, "cannot calibrate", "input '\(name)' holds NaN or infinite values")
    }
    guard let axes = samples.axes ?? graph.openFirstAxes else {
      throw Failure(
        checkpoint.path, "cannot be calibrated",
        "its outputs have no part for each sample, or '\(samples.source)' does not hold as many for every input",
        remedy: "leave --calibration out")
    }
    if let batch = axes.batch, batch != 1 {
      throw Failure(
        checkpoint.path, "cannot be calibrated", "the model is made for \(batch) samples at a time",
        remedy: "export it with an open batch")
    }
    self.graph = graph
    self.axes = axes
    self.checkpoint = checkpoint
    self.workers = workers
    weights = try NetworkWeights(checkpoint, graph)
    source = samples.source
    let shapes = try graph.shapes(inputs: samples.inputs.samples(0..<1, axes).mapValues(\.shape))
    let sizes = shapes.mapValues { $0.reduce(1, *) }
    // A value whose shape follows from other values may be as large as any.
    let largest = sizes.values.max() ?? 1
    let widest =
      graph.placesBetweenSamples(axes).map { place in
        graph.values(crossing: place).reduce(0) { $0 + (sizes[$1] ?? largest) }
      }.max() ?? largest
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
    if !graph.nodes.allSatisfy({ shapes[$0.name] != nil }) {
      notices.append(
        "the shapes inside the network depend on its values, so it has no gradients: all channels of a layer's output count alike"
      )
    }
    self.notices = notices
    let judges = Self.judgeCount(of: count)
    (fittedCount, heldOutCount) = (count - judges, judges)
    fitted = samples.inputs.samples(0..<count - judges, axes)
    heldOut = samples.inputs.samples(count - judges..<count, axes)
    let outputs = try NetworkState(graph, heldOut, workers: workers).outputs(weights)
    guard outputs.allSatisfy(\.isFinite) else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", "its outputs on '\(samples.source)' hold NaN or infinite values",
        remedy: "check --input-scale, --input-mean and --input-std")
    }
    loss = OutputLoss(outputs, axes: graph.outputs.map { axes.axis(of: $0.value) })
  }

  /// How many of so many samples judge, the last ones.
  package static func judgeCount(of count: Int) -> Int {
    max(1, min(mostHeldOut, Int(Double(count) * heldOutPart)))
  }

  /// What the user should know of the samples and of layers that they do not reach.
  package func notices(on layers: [Layer]) -> [String] {
    func notice(_ layers: [Layer], _ text: String) -> [String] {
      guard let first = layers.first else { return [] }
      let subject =
        layers.count == 1 ? "layer '\(first.name)' is" : "\(layers.count) layers, '\(first.name)' first, are"
      return ["\(subject) fitted in the norm of \(text)"]
    }
    return notices
      + notice(
        layers.filter { !isMeasurable($0) },
        "the weights: groups, transposed convolutions and more than \(widestPatch) input channels have no norm here")
      + notice(
        layers.filter { isMeasurable($0) && !hasWholePatches($0) },
        "their input channels: the places of a kernel count alike where patches have more than \(widestPatch) elements"
      )
  }

  /// The positions of a layer's nodes; empty for a layer that the graph does not use as a plain convolution.
  func uses(of layer: Layer) -> [Int] {
    graph.nodes.indices.filter { index in
      guard graph.nodes[index].layer == layer.name,
        case .convolution(let convolution, _, _, _) = graph.nodes[index].operation
      else { return false }
      return convolution.groups == 1 && convolution.batch == 1
    }
  }

  /// Where a layer is used first, whatever the graph does with it.
  func firstUse(of layer: Layer) -> Int? { nodes(using: layer.kernel).first }

  /// The positions of the nodes that refer to a tensor of the checkpoint.
  func nodes(using tensor: TensorReference) -> [Int] {
    graph.nodes.indices.filter { graph.nodes[$0].operation.references.contains { $0.name == tensor.name } }
  }

  /// Whether the layer's fits can be in a norm of its inputs.
  func isMeasurable(_ layer: Layer) -> Bool {
    layer.refusal == nil && layer.convolution.inputChannels <= widestPatch && !uses(of: layer).isEmpty
  }

  /// Whether that is the norm of whole patches, and not of single channels.
  func hasWholePatches(_ layer: Layer) -> Bool { layer.kernelShape.dropFirst().reduce(1, *) <= widestPatch }
}

extension Samples {
  /// Whether every sample is the same.
  fileprivate var areAlike: Bool {
    inputs.allSatisfy { name, tensor in
      guard let axis = axes?.axis(of: name) else { return true }
      let first = tensor.moved(axis)
      let size = first.count / max(1, count)
      return first.elements.dropFirst(size).elementsEqual(first.elements.dropLast(size))
    }
  }
}

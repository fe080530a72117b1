import Basics
import Checkpoints
import Decompositions
import Foundation
import ModelGraph
import Networks
import Plans
import Running
import TensorCore
import TestSupport
import Testing

@testable import Calibration

@Suite struct CalibrationTests {
  @Test func sensitivityGoesThroughItsPoints() {
    let sensitivity = Sensitivity([(0.1, 0.001), (0.4, 0.05), (0.2, 0.01)])
    for (discrepancy, loss) in [(0.1, 0.001), (0.2, 0.01), (0.4, 0.05)] {
      #expect(abs(sensitivity.loss(discrepancy) - loss) <= 1e-12)
    }
    // Outside it grows with the square, between it never falls.
    #expect(abs(sensitivity.loss(0.05) - 0.00025) <= 1e-12)
    #expect(sensitivity.loss(0) == 0)
    let steps = (1...60).map { sensitivity.loss(Double($0) / 100) }
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 <= $1 })
  }

  /// What is known of a layer whose patches are too wide is what whole patches say about their middle.
  @Test func channelsOfWidePatchesAreMeasuredAlone() throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let source = CalibrationSource(
      path: TestPath.fixture("digits.reference.npz"), preparation: SamplePreparation(maximumCount: 120))
    var calibration = try #require(
      try GraphNetwork(checkpoint)?.calibrator(source, workers: Workers(count: 2)) as? GraphCalibration)
    let layers = checkpoint.layers.filter {
      $0.convolution.groups == 1 && $0.kernelShape.dropFirst(2).reduce(1, *) == 9 && $0.convolution.inputChannels > 1
    }
    let whole = try calibration.statistics(of: layers, progress: .silent)
    calibration.widestPatch = try #require(layers.map(\.convolution.inputChannels).max())
    let own = try calibration.statistics(of: layers, progress: .silent)
    #expect(!layers.isEmpty && own.count == layers.count)
    for layer in layers {
      let (patches, channels) = (try #require(whole[layer.name]), try #require(own[layer.name]))
      #expect(
        channels.norm.secondMoment == nil && channels.norm.input != nil && channels.mean.count == patches.mean.count)
      let count = layer.convolution.inputChannels
      for channel in 0..<count where layer.convolution.window.stride.allSatisfy({ $0 == 1 }) {
        let middle = patches.mean[channel * 9 + 4]
        #expect(abs(channels.mean[channel * 9 + 4] - middle) <= 1e-5 * (1 + abs(middle)))
      }
      // A fit in this norm loses less of the layer's output than one in the norm of the weights.
      let kernel = try checkpoint.kernel(of: layer)
      let structure = try Structures.named("cp")
      let pattern = FactorPattern(
        shapes: [[kernel.shape[0], 1, 1, 1], [1, count, 1, 1], [1, 1, 3, 3]], ranks: [max(2, count / 2)],
        rankAxes: [[0], [0], [0]])
      let objective = try FitObjective(kernel, norm: patches.norm)
      func loss(_ norm: FitNorm?) throws -> Double {
        let fit = try Fitting(FitObjective(kernel, norm: norm), seed: 1).fit(pattern, of: structure, sweeps: 60)
        return objective.discrepancy(of: fit.factorization.reconstruct())
      }
      #expect(try loss(channels.norm) < loss(nil), "\(layer.name)")
    }
  }

  /// The stem of a residual network is disturbed; a layer whose output is added to the disturbed stream brings the sum closer to the
  /// original than its own kernel does, although its own branch was right but for its inputs.
  @Test(.needsShared("cifar10/calibration.npz", "cifar_resnet/resnet20.onnx"))
  func aLayerAtAJunctionMakesUpForTheOtherBranch() throws {
    let checkpoint = try Checkpoint.open(try #require(TestPath.shared("cifar_resnet/resnet20.onnx")))
    let workers = Workers(count: 2)
    let source = CalibrationSource(
      path: try #require(TestPath.shared("cifar10/calibration.npz")),
      preparation: SamplePreparation(
        scale: 1 / 255, mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225], maximumCount: 40))
    let calibration = try #require(
      try GraphNetwork(checkpoint)?.calibrator(source, workers: workers) as? GraphCalibration)
    let graph = calibration.graph
    let stem = try #require(checkpoint.layers.first { $0.name == "conv1" })
    let layer = try #require(checkpoint.layers.first { $0.name == "layer1.1.conv2" })
    let node = try #require(calibration.uses(of: layer).first)
    let normalized = try #require(graph.nodes.first { $0.inputs.contains(graph.nodes[node].name) })
    let sum = try #require(graph.nodes.first { $0.inputs.contains(normalized.name) })

    let kernel = try checkpoint.kernel(of: stem)
    var generator = SplitMix64(seed: 5)
    let noise = Tensor<Double>(gaussian: kernel.shape, using: &generator)
    let size = 0.1 * kernel.norm / noise.norm
    let disturbed = calibration.weights.replacing(
      stem,
      by: Tensor(
        shape: kernel.shape, elements: zip(kernel.elements, noise.elements).map { $0 + size * $1 }))
    var original = try NetworkState(graph, calibration.fitted, workers: workers)
    var changed = original
    try original.advance(to: node, calibration.weights)
    try changed.advance(to: node, disturbed)
    let own = try checkpoint.kernel(of: layer)
    let aim = try calibration.aim(
      of: node, kernel: own, original: original, changed: changed, disturbed, isCentered: false)
    let objective = try FitObjective(
      kernelShape: own.shape, secondMoment: aim.second, crossMoment: aim.cross)
    let wanted = try original.value(sum.name, calibration.weights)
    func distance(_ weights: NetworkWeights) throws -> Double {
      let value = try changed.value(sum.name, weights)
      return zip(value.elements, wanted.elements).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) }.squareRoot()
    }
    let before = try distance(disturbed)
    let after = try distance(disturbed.replacing(layer, by: objective.kernel))
    #expect(after < 0.8 * before, "\(after) after \(before)")
  }
}

/// What becomes of a network in which gradients cannot go back, or fail on the way.
@Suite struct GradientTests {
  private static let checkpoint = Result { try Checkpoint.open(TestPath.fixture("digits.h5")) }

  /// The network of the fixture with more nodes behind its output.
  ///
  /// - Parameter nodes: made with the name of the network's input and that of its output; `result` is the new output.
  private static func graph(_ nodes: (_ input: String, _ output: String) -> [Node]) throws -> ModelGraph {
    let graph = try #require(try checkpoint.get().graph)
    let more = nodes(graph.inputs[0].name, graph.outputs[0].value)
    return ModelGraph(
      inputs: graph.inputs, nodes: graph.nodes + more,
      outputs: [.init(name: graph.outputs[0].name, value: "result")])
  }

  private static func node(_ name: String, _ operation: ArrayOperation, _ inputs: String...) -> Node {
    Node(name: name, layer: name, operation: .array(operation), inputs: inputs)
  }

  private static func calibration(_ graph: ModelGraph, _ samples: Samples) throws -> GraphCalibration {
    try GraphCalibration(checkpoint.get(), graph, samples, workers: Workers(count: 2))
  }

  private static func samples(of graph: ModelGraph, scaledFirst factor: Float = 1) throws -> Samples {
    var samples = try Samples(
      file: TestPath.fixture("digits.reference.npz"), for: graph, SamplePreparation(maximumCount: 60))
    let name = graph.inputs[0].name
    let input = try #require(samples.inputs[name])
    let size = input.count / input.shape[0]
    samples.inputs[name] = Tensor(
      shape: input.shape, elements: input.elements.prefix(size).map { $0 * factor } + input.elements.dropFirst(size))
    return samples
  }

  /// Where the shapes of a network follow from values, no gradient goes back: the channels of all outputs count alike, and a notice
  /// says so.
  @Test func channelsCountAlikeWhereShapesDependOnValues() throws {
    let plain = try Self.graph { _, output in [Self.node("result", .function(.absolute), output)] }
    let layer = try #require(try Self.checkpoint.get().layers.first { $0.bias != nil })
    let bias = try #require(layer.bias)
    // The engine does not run what has such a shape; it may stand beside the way to the outputs. [-1, 10] plus nothing, which only
    // the values of the bias tell.
    let open = try Self.graph { _, output in
      [
        Self.node("result", .function(.absolute), output),
        Self.node("bias", .parameter(bias, shape: [layer.kernelShape[0]])),
        Self.node("sum", .reduce(.sum, keepsAxes: false, ignoresMissingAxes: false), "bias"),
        Self.node("zero", .constant(Literal(scalar: 0))), Self.node("nothing", .elementwise(.multiply), "sum", "zero"),
        Self.node("shape", .constant(Literal([-1, 10]))), Self.node("extents", .elementwise(.add), "shape", "nothing"),
        Self.node("reshaped", .reshape(keepsZero: false), output, "extents"),
      ]
    }
    let layers = try Self.checkpoint.get().layers
    for (graph, hasGradients) in [(plain, true), (open, false)] {
      let calibration = try Self.calibration(graph, Self.samples(of: graph))
      #expect(calibration.notices.contains { $0.contains("depend on its values") } == !hasGradients)
      let statistics = try calibration.statistics(of: layers, progress: .silent)
      let measured = layers.filter(calibration.isMeasurable)
      #expect(!measured.isEmpty && statistics.count == measured.count)
      for layer in measured { #expect((statistics[layer.name]?.norm.output != nil) == hasGradients, "\(layer.name)") }
    }
  }

  /// What fails while gradients are made reaches the user: it is no reason to do without them.
  @Test func errorsOnTheWayOfGradientsAreErrors() throws {
    // A table that is read at the largest pixel of each sample: it has no place 1000.
    let graph = try Self.graph { input, output in
      [
        Self.node("axes", .constant(Literal([1, 2, 3]))),
        Self.node("largest", .reduce(.maximum, keepsAxes: false, ignoresMissingAxes: false), input, "axes"),
        Self.node("index", .function(.truncate), "largest"),
        Self.node("table", .constant(Literal(shape: [20], values: [Double](repeating: 0, count: 20)))),
        Self.node("read", .gather(axis: 0), "table", "index"), Self.node("last", .constant(Literal([1]))),
        Self.node("column", .unsqueeze, "read", "last"), Self.node("result", .elementwise(.add), output, "column"),
      ]
    }
    let layers = try Self.checkpoint.get().layers
    let sound = try Self.calibration(graph, Self.samples(of: graph))
    #expect(try !sound.statistics(of: layers, progress: .silent).isEmpty)
    // The sample is none of those held out, on which the network runs first.
    let broken = try Self.calibration(graph, Self.samples(of: graph, scaledFirst: 1e6))
    let failure = #expect(throws: Failure.self) { try broken.statistics(of: layers, progress: .silent) }
    #expect(failure?.description.contains("'read'") == true, "\(failure?.description ?? "")")
  }
}

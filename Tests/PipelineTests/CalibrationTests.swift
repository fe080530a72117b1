import Basics
import Checkpoints
import Decompositions
import Formats
import Foundation
import ModelGraph
import TensorCore
import TestSupport
import Testing

@testable import Pipeline

@Suite struct CalibrationTests {
  private func outputs(_ elements: [Float]) -> [Tensor<Float>] { [Tensor(shape: [2, 3], elements: elements)] }

  @Test func lossIsZeroOnlyWhereOutputsAgree() {
    let logits = outputs([2, 0, -1, 0.5, 0.25, 3])
    let loss = OutputLoss(logits)
    #expect(loss.isOfClasses && loss(logits) <= 1e-6)
    #expect(loss(outputs([2, 1, -1, 0.5, 0.25, 3])) > 1e-3)
    // Logits may be shifted, and say the same.
    #expect(loss(outputs([3, 1, 0, -0.5, -0.75, 2])) <= 1e-6)
    #expect(loss(outputs([.nan, 0, -1, 0.5, 0.25, 3])) == .infinity)
    #expect(loss.agreement(outputs([0, 2, -1, 0.5, 0.25, 3])) == 0.5)
    let values = OutputLoss([Tensor(shape: [1, 2, 2], elements: [1, 2, 3, 4])])
    #expect(!values.isOfClasses && values.agreement([]) == nil)
    #expect(abs(values([Tensor(shape: [1, 2, 2], elements: [1, 2, 3, 5])]) - 1.0 / 30) <= 1e-9)
  }

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

  @Test func refusesSamplesThatTellNothing() throws {
    try withTemporaryFolder { folder in
      for samples in [[3], [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]] as [[Float]] {
        let stored = StoredTensor(
          name: "inputs",
          Tensor<Float>(
            shape: [samples.count, 8, 8, 1], elements: samples.flatMap { Array(repeating: $0, count: 64) }),
          as: .f32)
        let path = folder + "/\(samples.count).npz"
        try DataFile.writeNumPyArchive([stored], to: path, overwrite: false)
        let request = PlanRequest(
          checkpoint: TestPath.fixture("digits.h5"), budget: .init(bytes: 76_000),
          calibration: CalibrationSource(path: path))
        #expect(throws: Failure.self) { try Planner(request, workers: Workers(count: 1)) }
      }
    }
  }

  @Test func refusesLabelsThatAreNoClasses() throws {
    try withTemporaryFolder { folder in
      let reference = try DataFile.read(TestPath.fixture("digits.reference.npz"))
      let inputs = try #require(reference.first { $0.name == "inputs" })
      let labels = Tensor<Float>(
        shape: [inputs.shape[0]], elements: (0..<inputs.shape[0]).map { Float($0 == 2 ? 10 : 0) })
      let path = folder + "/labels.npz"
      try DataFile.writeNumPyArchive(
        [inputs, StoredTensor(name: "labels", labels, as: .f32)], to: path, overwrite: false)
      let failure = #expect(throws: Failure.self) {
        try verify(
          VerifyRequest(checkpoint: TestPath.fixture("digits.h5"), reference: path), workers: Workers(count: 1))
      }
      #expect(failure.map { "\($0)".contains("holds 10") } ?? false)
    }
  }

  /// From the README's network: the calibrated file of the same size must agree with the original far more often.
  @Test func calibrationKeepsWhatTheWeightsAloneLose() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: TestPath.fixture("digits.h5"), toPath: folder + "/digits.h5")
      let reference = TestPath.fixture("digits.reference.npz")
      let workers = Workers(count: 2)
      func agreement(_ calibration: CalibrationSource?) throws -> (agreement: Double, outcome: CalibrationOutcome?) {
        let request = PlanRequest(
          checkpoint: folder + "/digits.h5", budget: .init(bytes: 76_000),
          recipe: Recipe(structures: ["cp", "tucker"]), calibration: calibration)
        guard case .plan(let plan) = try Planner(request, workers: workers).plan() else {
          Issue.record("no plan")
          return (0, nil)
        }
        let path = folder + "/digits.plan.json"
        try Data(plan.json.text(.indented).utf8).write(to: URL(fileURLWithPath: path))
        let result = try apply(ApplyRequest(plan: path, overwrite: true), workers: workers)
        #expect(result.bytes <= 76_000)
        let verdict = try verify(
          VerifyRequest(checkpoint: result.output, reference: reference, maximumDiscrepancy: 100), workers: workers)
        #expect(verdict.passed, "\(verdict.failures)")
        return (verdict.outputs.first?.topOneAgreement ?? 0, result.calibration)
      }
      let plain = try agreement(nil)
      let calibrated = try agreement(
        CalibrationSource(path: reference, preparation: SamplePreparation(maximumCount: 120)))
      let outcome = try #require(calibrated.outcome)
      #expect(plain.outcome == nil && outcome.samples == 120 && outcome.heldOut == 36)
      #expect(zip(outcome.losses, outcome.losses.dropFirst()).allSatisfy { $0 > $1 })
      #expect(calibrated.agreement >= plain.agreement, "\(calibrated.agreement) after \(plain.agreement)")
      #expect(calibrated.agreement >= 0.9)
    }
  }

  /// What is known of a layer whose patches are too wide is what whole patches say about their middle.
  @Test func channelsOfWidePatchesAreMeasuredAlone() throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let source = CalibrationSource(
      path: TestPath.fixture("digits.reference.npz"), preparation: SamplePreparation(maximumCount: 120))
    var calibration = try #require(try source.read(for: checkpoint, workers: Workers(count: 2)).samples)
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
  @Test(.enabled(if: TestPath.hasShared("cifar10/calibration.npz"), "skipped: no CIFAR-10 images"))
  func aLayerAtAJunctionMakesUpForTheOtherBranch() throws {
    let checkpoint = try Checkpoint.open(try #require(TestPath.shared("cifar_resnet/resnet20.onnx")))
    let workers = Workers(count: 2)
    let source = CalibrationSource(
      path: try #require(TestPath.shared("cifar10/calibration.npz")),
      preparation: SamplePreparation(
        scale: 1 / 255, mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225], maximumCount: 40))
    let calibration = try #require(try source.read(for: checkpoint, workers: workers).samples)
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

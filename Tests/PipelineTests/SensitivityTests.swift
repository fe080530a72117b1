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

/// Whether what calibration measures holds for samples and plans that it has not seen.
@Suite struct SensitivityTests {
  /// Images of digits: neighbouring pixels are strongly correlated, borders always dark.
  @Test(arguments: ["cp", "tucker", "tt", "tr", "gkpd", "sekron", "svd"])
  func fitsOnSamplesWinOnOtherSamples(structure: String) throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let graph = try #require(checkpoint.graph)
    let samples = try Samples(
      file: TestPath.fixture("digits.reference.npz"), for: graph, SamplePreparation(maximumCount: 160))
    let workers = Workers(count: 2)
    let calibration = try Calibration(checkpoint, graph, samples, workers: workers)
    let statistics = try calibration.statistics(of: checkpoint.layers, progress: .silent)
    var compared = 0
    for layer in checkpoint.layers where calibration.isMeasurable(layer) {
      let norm = try #require(statistics[layer.name]).norm
      let node = try #require(calibration.uses(of: layer).first)
      var state = try NetworkState(graph, calibration.heldOut, workers: workers)
      try state.advance(to: node, calibration.weights)
      let input = try state.value(graph.nodes[node].inputs[0], calibration.weights)
      let kernel = try checkpoint.kernel(of: layer)
      let moments = try calibration.moments(of: node, input: input)
      // Where an offset makes up for the mean of the error, only the rest counts.
      let isShifted = calibration.offset(of: layer) != nil
      let judge = try FitObjective(
        kernel,
        norm: FitNorm(
          secondMoment: isShifted ? moments.second.centered(moments.inputMean, moments.inputMean) : moments.second))
      for candidate in try candidates(structure, kernel, layer) {
        let plain = try candidate.fit(kernel).reconstruct()
        let weighted = try candidate.fit(kernel, norm: FitNorm(secondMoment: try #require(norm.secondMoment)))
          .reconstruct()
        let (before, after) = (judge.discrepancy(of: plain), judge.discrepancy(of: weighted))
        #expect(after <= before, "\(layer.name) \(candidate.ranks): \(after) after \(before)")
        compared += 1
      }
    }
    #expect(compared >= 2)
  }

  private func candidates(_ structure: String, _ kernel: Tensor<Double>, _ layer: Layer) throws -> [Candidate] {
    let curve = try Sweep(structures: [Structures.named(structure)]).candidates(
      for: kernel, convolution: layer.convolution, hasBias: layer.bias != nil)
    return [0.25, 0.5].compactMap { part in curve.first { Double($0.parameterCount) >= part * Double(kernel.count) } }
  }

  /// The sum of what layers cost alone orders whole plans as the network does.
  @Test(.enabled(if: TestPath.hasShared("cifar10/calibration.npz"), "skipped: no CIFAR-10 images"))
  func predictedAndMeasuredLossesAgreeInTheirOrder() throws {
    let path = try #require(TestPath.shared("cifar_resnet/resnet20.onnx"))
    let workers = Workers(count: 2)
    let checkpoint = try Checkpoint.open(path)
    let source = CalibrationSource(
      path: try #require(TestPath.shared("cifar10/calibration.npz")),
      preparation: SamplePreparation(
        scale: 1 / 255, mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225], maximumCount: 120))
    let calibration = try #require(try source.read(for: checkpoint, workers: workers).samples)
    let request = PlanRequest(
      checkpoint: path, budget: .init(bytes: 1_000_000), recipe: Recipe(structures: ["cp"]), calibration: source)
    let statistics = try calibration.statistics(of: checkpoint.layers, progress: .silent)
    let choices = try LayerSweep(checkpoint, request, calibration, workers: workers).choices(progress: .silent)
    let kernels = try choices.map { try checkpoint.kernel(of: $0.layer) }
    let state = try NetworkState(calibration.graph, calibration.heldOut, workers: workers)
    var generator = SplitMix64(seed: 11)
    var pairs: [(predicted: Double, measured: Double)] = []
    for _ in 0..<30 {
      // Sizes from five sixths to a ninth, a little different in every layer.
      let size = exp(-log(1.2) - generator.nextUniform() * log(7.5))
      var (predicted, weights) = (0.0, calibration.weights)
      for (choice, kernel) in zip(choices, kernels) where !choice.candidates.isEmpty {
        let most = size * (0.7 + 0.6 * generator.nextUniform()) * Double(kernel.count)
        let candidate = choice.candidates.last { Double($0.parameterCount) <= most } ?? choice.candidates[0]
        predicted += try #require(choice.sensitivity).loss(candidate.outputDiscrepancy)
        let approximation = try candidate.approximation(of: kernel)
        weights = weights.replacing(choice.layer, by: approximation)
        if let mean = statistics[choice.layer.name]?.mean,
          let (offset, values) = try calibration.meanOffset(
            of: choice.layer, for: approximation, insteadOf: kernel, mean: mean)
        {
          weights = weights.replacing(offset.tensor, by: values)
        }
      }
      pairs.append((predicted, calibration.loss(try state.outputs(weights))))
    }
    let correlation = spearman(pairs.map(\.predicted), pairs.map(\.measured))
    #expect(correlation >= 0.9, "\(correlation): \(pairs)")
  }

  private func spearman(_ a: [Double], _ b: [Double]) -> Double {
    func ranks(_ values: [Double]) -> [Double] {
      values.map { value in Double(values.count { $0 < value }) + 0.5 * Double(values.count { $0 == value }) }
    }
    let (x, y) = (ranks(a), ranks(b))
    let (meanX, meanY) = (x.reduce(0, +) / Double(x.count), y.reduce(0, +) / Double(y.count))
    let covariance = zip(x, y).reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) }
    let (varianceX, varianceY) = (
      x.reduce(0) { $0 + ($1 - meanX) * ($1 - meanX) }, y.reduce(0) { $0 + ($1 - meanY) * ($1 - meanY) }
    )
    return covariance / (varianceX * varianceY).squareRoot()
  }

  /// A second plan of the same network comes from the cache and is the same plan; what cannot be read there is made anew.
  @Test func theCacheGivesTheSamePlan() throws {
    try withTemporaryFolder { folder in
      let request = PlanRequest(
        checkpoint: TestPath.fixture("digits.h5"), budget: .init(bytes: 76_000),
        recipe: Recipe(structures: ["cp", "svd"]),
        calibration: CalibrationSource(
          path: TestPath.fixture("digits.reference.npz"), preparation: SamplePreparation(maximumCount: 60)),
        cache: folder + "/cache")
      func text(_ request: PlanRequest, sweeps: Bool) throws -> String {
        let swept = Counter()
        let progress = Progress { if $0.task == "sweep" { _ = swept.next() } }
        guard case .plan(let plan) = try Planner(request, workers: Workers(count: 2), progress: progress).plan() else {
          Issue.record("no plan")
          return ""
        }
        #expect((swept.next() > 1) == sweeps)
        return plan.json.text(.indented)
      }
      let first = try text(request, sweeps: true)
      #expect(try text(request, sweeps: false) == first)
      var other = request
      other.seed = 1
      #expect(try text(other, sweeps: true) != first)
      for file in try FileManager.default.contentsOfDirectory(atPath: folder + "/cache") {
        try Data("{".utf8).write(to: URL(fileURLWithPath: folder + "/cache/" + file))
      }
      #expect(try text(request, sweeps: true) == first)
    }
  }
}

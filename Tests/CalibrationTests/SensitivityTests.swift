import Checkpoints
import Decompositions
import Foundation
import ModelGraph
import Running
import TensorCore
import TestSupport
import Testing

@testable import Calibration

/// Whether what calibration measures holds for samples and plans that it has not seen.
@Suite struct SensitivityTests {
  /// Images of digits: neighbouring pixels are strongly correlated, borders always dark.
  @Test(arguments: Structures.names)
  func fitsOnSamplesWinOnOtherSamples(structure: String) throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let graph = try #require(checkpoint.graph)
    let samples = try Samples(
      file: TestPath.fixture("digits.reference.npz"), for: graph, SamplePreparation(maximumCount: 160))
    let workers = Workers(count: 2)
    let calibration = try GraphCalibration(checkpoint, graph, samples, workers: workers)
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
      let isShifted = try calibration.offset(of: layer) != nil
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

}

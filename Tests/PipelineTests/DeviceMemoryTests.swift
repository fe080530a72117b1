import Checkpoints
import Formats
import ModelGraph
import TestSupport
import Testing

@testable import Pipeline

/// What the networks of MLPerf Tiny need in RAM, derived by hand from their layers.
@Suite struct DeviceMemoryTests {
  /// ResNet-8: 32 x 32 x 16 activations after the stem, 16,384 elements. In the first block the second convolution runs while its
  /// input, its output and the block's input, which the sum needs, are alive: 3 x 16,384. The later blocks halve the extents and
  /// double the channels: their input (16,384) and two values of 16 x 16 x 32 = 8,192, then less. Normalisations, activations and
  /// the sums overwrite their input.
  @Test(.enabled(if: TestPath.hasShared("mlperf_tiny/pretrainedResnet.h5"), "skipped: no MLPerf Tiny models"))
  func residualNetwork() throws { #expect(try peak("mlperf_tiny/pretrainedResnet.h5") == 3 * 16_384) }

  /// MobileNetV1 at a quarter of the width on 96 x 96 x 3: the image (27,648) and the stem's output, 48 x 48 x 8 = 18,432, make
  /// 46,080. The first depthwise convolution keeps that size: 36,864. The first pointwise one doubles the channels: 18,432 + 36,864
  /// = 55,296. The next depthwise one halves the extents: 36,864 + 9,216 = 46,080, and everything later is smaller.
  @Test(.enabled(if: TestPath.hasShared("mlperf_tiny/vww_96.h5"), "skipped: no MLPerf Tiny models"))
  func visualWakeWords() throws { #expect(try peak("mlperf_tiny/vww_96.h5") == 18_432 + 36_864) }

  private func peak(_ name: String) throws -> Int? {
    let checkpoint = try Checkpoint.open(try #require(TestPath.shared(name)))
    let graph = try #require(checkpoint.graph)
    let peak = try graph.peakActivationCount()
    // The estimate of a plan that compresses nothing is the same, in bytes of single precision.
    let planner = try Planner(
      PlanRequest(checkpoint: checkpoint.path, budget: .init(bytes: 1 << 40), recipe: Recipe(structures: ["svd"])),
      workers: Workers(count: 2))
    if case .plan(let plan) = try planner.plan() {
      #expect(plan.predicted.ram == plan.original.ram && plan.original.ram == peak.map { 4 * $0 })
    } else {
      Issue.record("everything fits")
    }
    return peak
  }
}

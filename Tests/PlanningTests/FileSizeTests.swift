import Basics
import Plans
import Running
import TestSupport
import Testing

@testable import Planning

@Suite struct FileSizeTests {
  @Test(arguments: ["digits.h5", "digits.safetensors"])
  func growthsAddUp(_ name: String) throws { try expectGrowthsAddUp(TestPath.fixture(name)) }

  private static let resNets = ["resnet20.onnx", "resnet56.onnx", "resnet20.safetensors", "resnet56.safetensors"]
    .map { "cifar_resnet/\($0)" }

  @Test(.needsShared(resNets), arguments: resNets)
  func growthsOfResNetsAddUp(_ name: String) throws { try expectGrowthsAddUp(#require(TestPath.shared(name))) }

  @Test(.needsShared("mlperf_tiny/vww_96.h5"))
  func growthsOfMobileNetAddUp() throws { try expectGrowthsAddUp(#require(TestPath.shared("mlperf_tiny/vww_96.h5"))) }

  @Test(.needsShared("keras3_mnist/model.keras"))
  func growthsOfArchivesAddUp() throws {
    try expectGrowthsAddUp(#require(TestPath.shared("keras3_mnist/model.keras")))
  }

  /// The bound on plans stands on this: the layers' growths, each measured alone, add up to the file's but for the slack.
  private func expectGrowthsAddUp(_ path: String) throws {
    let planner = try Planner.prepared(
      for: PlanRequest(checkpoint: path, budget: [:], recipe: Recipe(structures: ["svd", "gkpd"])),
      workers: Workers(count: 2), progress: .silent)
    let layers = planner.layers
    let slack = planner.sizes.slack
    var generator = SplitMix64(seed: 50)
    for round in 0..<60 {
      // Few layers or most of them, then the smallest forms of most of them: files that are several times smaller.
      let share = generator.nextUniform()
      let isSmall = round >= 40
      let picks = layers.map { layer in
        guard generator.nextUniform() < (isSmall ? 0.9 : share) else { return 0 }
        let order = layer.options.indices.sorted { layer.options[$0].growth < layer.options[$1].growth }
        return order[Int(generator.next() % UInt64(isSmall ? max(1, order.count / 4) : order.count))]
      }
      let sum = zip(layers, picks).reduce(0) { $0 + $1.0.options[$1.1].growth }
      // What several layers need is there once.
      let shared = zip(layers, picks).flatMap { $0.options[$1].shared }
      let times = Dictionary(shared.map { ($0, 1) }, uniquingKeysWith: +)
      let saved = try times.reduce(0) { try $0 + ($1.value - 1) * planner.sizes.checkpoint.byteCount(of: $1.key) }
      let growth = try planner.growth(layers, picks)
      #expect(abs(sum - saved - growth) <= slack, "\(path): \(growth - sum + saved) bytes for \(layers.count) layers")
    }
  }
}

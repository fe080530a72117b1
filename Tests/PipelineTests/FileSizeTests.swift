import Basics
import TestSupport
import Testing

@testable import Pipeline

@Suite struct FileSizeTests {
  static let models =
    [TestPath.fixture("digits.h5"), TestPath.fixture("digits.safetensors")]
    + [
      "cifar_resnet/resnet20.onnx", "cifar_resnet/resnet20.safetensors", "mlperf_tiny/vww_96.h5",
      "keras3_mnist/model.keras",
    ]
    .compactMap(TestPath.shared)

  /// The bound on plans stands on this: the layers' growths, each measured alone, add up to the file's but for the slack.
  @Test(arguments: models)
  func growthsAddUp(_ path: String) throws {
    let planner = try Planner(
      PlanRequest(checkpoint: path, budget: .init(), recipe: Recipe(structures: ["svd", "gkpd"])),
      workers: Workers(count: 2))
    let layers = planner.layers
    let slack = planner.sizes.slack
    var generator = SplitMix64(seed: 50)
    for _ in 0..<40 {
      // Few layers, or most of them.
      let share = generator.nextUniform()
      let picks = layers.map { layer in
        generator.nextUniform() < share ? Int(generator.next() % UInt64(layer.options.count)) : 0
      }
      let sum = zip(layers, picks).reduce(0) { $0 + $1.0.options[$1.1].growth }
      let shared = zip(layers, picks).reduce(0) { $0 + $1.0.options[$1.1].shared }
      let growth = try planner.growth(layers, picks)
      #expect(sum - shared - slack <= growth, "\(path): \(growth - sum + shared) bytes for \(layers.count) layers")
      // The other way they are apart by the commas of lists and the like.
      #expect(growth <= sum + slack, "\(path): \(growth - sum) bytes for \(layers.count) layers")
    }
  }
}

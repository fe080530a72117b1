import Calibration
import Checkpoints
import Decompositions
import ModelGraph
import Recurrent
import Running
import TensorCore

/// A character model with a text: the norm of its third-order tensor, and what its linear terms make up for.
struct CharacterCalibrator: Calibrator {
  let checkpoint: Checkpoint
  let calibration: RecurrentCalibration
  let workers: Workers

  var notices: [String] { [] }

  func notices(on layers: [Layer]) -> [String] { [] }

  func statistics(of layers: [Layer], progress: ProgressHandler) throws -> [String: InputStatistics] {
    layers.contains { $0.name == RecurrentFile.layer }
      ? [RecurrentFile.layer: InputStatistics(norm: calibration.norm, mean: [])] : [:]
  }

  /// The loss of a plan is that of its one tensor's fit.
  func sensitivity(
    of layer: Layer, _ approximations: [KernelApproximation], _ statistics: InputStatistics?
  ) throws -> Sensitivity? { nil }

  func fit(
    _ planned: [PlannedLayer], following dense: [Layer], seed: UInt64, progress: ProgressHandler
  ) throws -> FittedPlan {
    let statistics = try statistics(of: planned.map(\.layer), progress: progress)
    let layers = try planned.compressed(
      of: checkpoint, seed: seed, workers: workers, progress: progress
    ) { statistics[$0.name]?.norm }
    var plan = FittedPlan(layers: layers)
    if let item = planned.first, let fitted = layers.first {
      let kernel = try item.candidate?.reconstruct(from: fitted.weights) ?? fitted.weights[0]
      plan.offsets = try offsets(error: try checkpoint.kernel(of: item.layer).subtracting(kernel))
    }
    return plan
  }

  /// The linear terms' new values where another kernel stands for the tensor; none without linear terms.
  private func offsets(error: Tensor<Double>) throws -> [TensorReference: Tensor<Double>] {
    guard let change = calibration.correction(for: error) else { return [:] }
    var offsets: [TensorReference: Tensor<Double>] = [:]
    for (parameter, own) in [(RecurrentParameter.hidden, change.hidden), (.input, change.input)] {
      let reference = TensorReference(parameter.rawValue)
      let values: Tensor<Double> = try checkpoint.parameter(reference)
      offsets[reference] = values.adding(own)
    }
    return offsets
  }
}

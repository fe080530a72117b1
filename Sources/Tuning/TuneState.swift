import Basics
import Foundation
import Running
import TensorCore
import Training

/// What was measured after an epoch.
package struct TuneEpoch: Sendable, Equatable {
  /// The number of the epoch; 0 is the state before the first.
  package let number: Int
  /// The time of the training since the first epoch, in seconds; what came before an interruption counts.
  package var seconds: Double
  /// The mean training loss of a sample; nil before the first epoch.
  package let loss: Double?
  /// The loss on the samples held out.
  package let heldOutLoss: Double
  /// The top-1 agreement with the original, on the samples held out.
  package let agreement: Double?
  /// The accuracy on the samples held out, where they have labels that count.
  package let heldOutAccuracy: Double?
  /// The accuracy on the samples of `--test`.
  package let testAccuracy: Double?

  package var json: JSON {
    [
      "epoch": .integer(number), "seconds": .real(seconds), "loss": .optional(loss, JSON.real),
      "held_out_loss": .real(heldOutLoss), "agreement": .optional(agreement, JSON.real),
      "held_out_accuracy": .optional(heldOutAccuracy, JSON.real),
      "test_accuracy": .optional(testAccuracy, JSON.real),
    ]
  }
}

extension TuneEpoch {
  fileprivate init?(_ json: JSON) {
    guard let number = json["epoch"]?.integer, let seconds = json["seconds"]?.real else { return nil }
    self.init(
      number: number, seconds: seconds, loss: json["loss"]?.real, heldOutLoss: json["held_out_loss"]?.real ?? .infinity,
      agreement: json["agreement"]?.real, heldOutAccuracy: json["held_out_accuracy"]?.real,
      testAccuracy: json["test_accuracy"]?.real)
  }
}

/// Where a run stands between two epochs.
struct TuneState: Sendable {
  var weights: TrainedWeights
  var optimizer: Optimizer
  /// What the best epoch made of the weights.
  var best: TrainedWeights
  var bestEpoch = 0
  var epochs: [TuneEpoch] = []
  var plateau: PlateauHalving
  /// What the original says of all samples, by the view in which they come again; made when it is needed, and in no file.
  var lessons: [Int: [Tensor<Float>]] = [:]
}

extension TuneState {
  static let schema = "kcompress.tune/2"

  /// Puts the state into the file beside the output.
  ///
  /// - Throws: `Failure` where the file cannot be written.
  func write(to file: RunStateFile) throws {
    try file.write(
      weights.stored + best.stored.map { $0.renamed("best/" + $0.name) }
        + optimizer.stored.map { $0.renamed("optimizer/" + $0.name) },
      progress: [
        "best_epoch": .integer(bestEpoch), "epochs": .array(epochs.map(\.json)), "plateau": plateau.json,
      ])
  }

  /// Goes on where another run stopped.
  ///
  /// - Throws: `Failure` that names the file where it is damaged or belongs to another run.
  mutating func resume(from file: RunStateFile) throws {
    let state = try file.read()
    guard let bestEpoch = state.progress["best_epoch"]?.integer, let entries = state.progress["epochs"]?.array,
      !entries.isEmpty, let plateau = PlateauHalving(state.progress["plateau"], patience: plateau.patience)
    else { throw file.damaged("its progress") }
    let epochs = entries.compactMap(TuneEpoch.init)
    guard epochs.count == entries.count, epochs.indices.contains(bestEpoch) else {
      throw file.damaged("one of its epochs")
    }
    try Failure.within(file.path) {
      try weights.restore(state.tensors)
      try best.restore(state.tensors("best/"))
      try optimizer.restore(state.tensors("optimizer/"), for: weights.parameters)
    }
    (self.bestEpoch, self.epochs, self.plateau) = (bestEpoch, epochs, plateau)
  }
}

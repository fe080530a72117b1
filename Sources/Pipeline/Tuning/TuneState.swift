import Basics
import Foundation
import Safetensors
import TensorCore
import Training

/// What was measured after an epoch.
package struct TuneEpoch: Sendable, Equatable {
  /// 0 is before the first.
  package let number: Int
  /// Of the training since the first epoch, in seconds; what came before an interruption counts.
  package var seconds: Double
  /// The mean training loss of a sample; nil before the first epoch.
  package let loss: Double?
  /// On the samples held out.
  package let heldOutLoss: Double
  /// With the original's classes, on the samples held out.
  package let agreement: Double?
  /// On the samples held out, where they have labels that count.
  package let heldOutAccuracy: Double?
  /// On the samples of `--test`.
  package let testAccuracy: Double?

  var json: JSON {
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

/// The file beside the output in which a run can be taken up again.
struct TuneStateFile {
  static let schema = "kcompress.tune/1"
  let path: String
  /// What must agree: options and the files' hashes.
  let options: JSONObject

  init(output: String, options: JSONObject) {
    path = output + ".tuning"
    self.options = options
  }

  var exists: Bool { FileManager.default.fileExists(atPath: path) }

  /// The old state survives where this one cannot be written.
  func write(_ state: TuneState) throws {
    let best = state.best.stored.map { $0.renamed("best/" + $0.name) }
    let optimizer = state.optimizer.stored.map { $0.renamed("optimizer/" + $0.name) }
    let document: JSON = [
      "schema": .string(Self.schema), "options": .object(options), "best_epoch": .integer(state.bestEpoch),
      "epochs": .array(state.epochs.map(\.json)), "factor": .real(state.plateau.factor),
      "best_loss": .real(state.plateau.best), "waited": .integer(state.plateau.waited),
    ]
    try SafetensorsFile(
      tensors: state.weights.stored + best + optimizer, metadata: ["kcompress": document.text(.compact)]
    ).write(to: path, overwrite: true)
  }

  /// - Throws: `Failure` that names what differs where the options are others.
  func read(into state: inout TuneState) throws {
    let file = try SafetensorsFile(path: path)
    let (tensors, metadata) = (file.tensors, file.metadata)
    func damaged(_ what: String) -> Failure {
      Failure(path, "cannot be taken up", "\(what) is missing or malformed", remedy: "begin anew without --resume")
    }
    guard let text = metadata["kcompress"], let document = try? JSON(parsing: Array(text.utf8)),
      document["schema"]?.string == Self.schema, let stored = document["options"]?.object
    else { throw damaged("its description") }
    let differences = options.pairs.filter { stored[$0.key] != $0.value }.map { key, value in
      "\(key) was \(stored[key]?.text(.compact) ?? "nothing") and is \(value.text(.compact))"
    }
    guard differences.isEmpty else {
      throw Failure(
        path, "cannot be taken up", "its options were others: " + differences.joined(separator: "; "),
        remedy: "give the same options, or begin anew without --resume")
    }
    guard let best = document["best_epoch"]?.integer,
      let epochs = document["epochs"]?.array?.compactMap(TuneEpoch.init),
      !epochs.isEmpty, let factor = document["factor"]?.real, let waited = document["waited"]?.integer
    else { throw damaged("its progress") }
    func part(_ prefix: String) -> [StoredTensor] {
      tensors.filter { $0.name.hasPrefix(prefix) }.map { $0.renamed(String($0.name.dropFirst(prefix.count))) }
    }
    do {
      try state.weights.restore(tensors)
      try state.best.restore(part("best/"))
      try state.optimizer.restore(part("optimizer/"), for: state.weights.parameters)
    } catch let failure as Failure {
      throw failure.within(path)
    }
    state.bestEpoch = best
    state.epochs = epochs
    state.plateau = PlateauHalving(
      patience: state.plateau.patience, factor: factor, best: document["best_loss"]?.real ?? .infinity, waited: waited)
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}

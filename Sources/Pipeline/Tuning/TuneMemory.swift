import Basics
import Checkpoints
import ModelGraph
import TensorCore
import Training

/// What a run keeps in memory at its peak, in bytes.
package struct TuneMemory: Sendable {
  package struct Item: Sendable {
    package let name: String
    package let bytes: Int
  }

  package let items: [Item]

  package var total: Int { items.reduce(0) { $0 + $1.bytes } }

  /// The program itself with its libraries, as measured on an idle run.
  private static let program = 48 << 20

  init(_ tuning: Tuning, _ weights: TrainedWeights, _ checkpoint: Checkpoint, _ original: Checkpoint?) throws {
    func bytes(_ tensors: [String: Tensor<Float>]) -> Int { tensors.values.reduce(0) { $0 + 4 * $1.count } }
    func bytes(_ checkpoint: Checkpoint) -> Int { checkpoint.tensors.reduce(0) { $0 + $1.bytes.count } }
    let request = tuning.request
    let parameters = bytes(weights.parameters)
    let slices = (min(request.batch, tuning.batches.count) + tuning.slice - 1) / tuning.slice
    let hands = min(tuning.workers.count, slices)
    let slice = min(tuning.slice, request.batch)
    let shapes = tuning.judge.inputs.mapValues { [slice] + $0.shape.dropFirst() }
    let samples =
      tuning.batches.inputs.byteCount + bytes(tuning.judge.inputs) + bytes(tuning.judge.test?.inputs ?? [:])
    var items = [
      Item(name: "program", bytes: Self.program),
      Item(name: "samples", bytes: samples),
      // The file's bytes stay beside what the network computes with.
      Item(
        name: "weights",
        bytes: bytes(checkpoint) + weights.frozen.values.reduce(parameters) { $0 + 4 * $1.count }),
      Item(name: "gradients", bytes: parameters * slices),
      Item(name: "optimiser", bytes: parameters * request.optimizer.momentCount),
      Item(name: "best state", bytes: parameters + (request.method == .rosa ? bytes(weights.frozen) : 0)),
      Item(name: "activations", bytes: 4 * hands * (try tuning.backpropagation.peakCount(shapes))),
    ]
    if let features = tuning.teacher?.features, !features.isEmpty {
      let known = try tuning.graph.shapes(inputs: shapes)
      let count = features.reduce(0) { $0 + (known[$1] ?? [0]).reduce(1, *) }
      // The original's, and the gradients at the network's own.
      items.append(Item(name: "features", bytes: 2 * 4 * hands * count))
    }
    if tuning.keepsLessons, let expected = tuning.judge.expected {
      let views = request.augmentations.isEmpty ? 1 : min(request.views ?? 1, request.epochs)
      let each = expected.reduce(0) { $0 + 4 * $1.shape.dropFirst().reduce(1, *) }
      items.append(Item(name: "original outputs", bytes: views * tuning.batches.count * each))
    }
    // A file lies beside what is read from it before training begins.
    let training = items.dropFirst(3).reduce(0) { $0 + $1.bytes }
    items.append(Item(name: "reading", bytes: max(0, tuning.batches.inputs.byteCount - training)))
    if let original {
      items.append(Item(name: "original", bytes: (tuning.teacher?.features.isEmpty == false ? 3 : 2) * bytes(original)))
    }
    self.items = items
  }

  package var json: JSON {
    .object(
      JSONObject(
        items.map { ($0.name.replacing(" ", with: "_"), JSON.integer($0.bytes)) } + [("total", .integer(total))]))
  }
}

import Basics
import Checkpoints
import Formats
import Recurrent
import Safetensors
import TensorCore

/// Character models in safetensors files: as trained, and as apply compressed them.
package struct RecurrentFile: Sendable {
  package let model: RecurrentModel
  package let notices: [String]

  /// The layer of the third-order tensor.
  package static let layer = "bilinear"

  /// - Throws: `Failure` that names the file where it holds no character model, or its tensors disagree with its dimensions.
  package init(path: String) throws {
    try self.init(try CheckpointSource(path: path).open())
  }

  /// The character model in a checkpoint.
  ///
  /// - Throws: `Failure` that names the file where it holds no character model, or its tensors disagree with its dimensions.
  package init(_ checkpoint: Checkpoint) throws {
    do {
      guard let description = try checkpoint.recurrentDescription else {
        throw Failure(
          "", "holds no character model", "its metadata have no '\(RecurrentModel.metadataKey)'",
          remedy: "give a file that kcompress rnn train wrote")
      }
      guard let record = try checkpoint.record.map(Record.init) else {
        (model, notices) = (try RecurrentModel(description, tensors: checkpoint.tensors), [])
        return
      }
      (model, notices) = try Self.compressed(description, checkpoint, record)
    } catch let failure as Failure {
      throw failure.within(checkpoint.path)
    }
  }

  /// A second-order network whose tensor has been factored: with three factors over whole modes it is a canonical term and stays one,
  /// anything else is multiplied out.
  private static func compressed(
    _ description: JSON, _ checkpoint: Checkpoint, _ record: Record
  ) throws -> (RecurrentModel, [String]) {
    let (shape, _) = try RecurrentModel.dimensions(description)
    guard var fields = description.object, let layer = record.layers.first(where: { $0.name == layer }) else {
      return (try RecurrentModel(description, tensors: checkpoint.tensors), [])
    }
    let kernels = layer.stages.convolutions.map(\.kernelShape)
    let canonical = RecurrentParameter.canonicalFactors
    if shape.kind.bilinear == .tensor, layer.stages.count == 3, let rank = kernels.first?.first, rank > 0 {
      let kind: RecurrentShape.Kind = shape.kind.hasLinearTerms ? .cprnn : .cpbirnn
      let target = RecurrentShape(kind, hidden: shape.hidden, inputs: shape.inputs, rank: rank)
      if kernels == canonical.map(target.storedExtents), layer.parts == canonical.map(\.layerName) {
        fields["model"] = .string(kind.rawValue)
        fields["rank"] = .integer(rank)
        return (try RecurrentModel(.object(fields), tensors: checkpoint.tensors), [])
      }
    }
    let parts = Set(layer.parts)
    let composed = try layer.composed(in: checkpoint)
    let rest = checkpoint.tensors.filter { tensor in
      !checkpoint.layers.contains { parts.contains($0.name) && $0.kernel.name == tensor.name }
    }
    let tensor = StoredTensor(
      name: RecurrentParameter.tensor.rawValue, composed.converted(to: Float.self), as: .f32)
    return (
      try RecurrentModel(description, tensors: rest + [tensor]),
      [
        "the tensor in '\(checkpoint.path)' is multiplied out: only 'cp' has a form of its own here, \(layer.structure) saves bytes in the file"
      ]
    )
  }

  /// Writes a model.
  ///
  /// - Throws: `Failure` where the file exists and may not be replaced, or cannot be written.
  package static func write(_ model: RecurrentModel, to path: String, overwrite: Bool) throws {
    try SafetensorsFile(
      tensors: model.stored, metadata: [RecurrentModel.metadataKey: model.description.text()]
    ).write(to: path, overwrite: overwrite)
  }
}

extension RecurrentParameter {
  /// The factors of a canonical term in the order in which apply writes a CP's.
  fileprivate static let canonicalFactors: [RecurrentParameter] = [.stateFactor, .inputFactor, .outputFactor]

  /// The layer that a tensor of this name is the kernel of.
  fileprivate var layerName: String { String(rawValue.dropLast(".weight".count)) }
}

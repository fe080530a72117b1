import Basics
import Recurrent
import Safetensors
import TensorCore
import Training

/// The trainer in a file, from which an interrupted training goes on.
extension CharacterTrainer {
  private static let schema = "kcompress.training/1"
  private static let key = "training"

  /// - Parameter texts: the hashes of the texts that it trains on.
  func write(to path: String, texts: [String]) throws {
    let progress: JSON = [
      "schema": .string(Self.schema), "texts": .strings(texts), "settings": settings.json,
      "plateau": [
        "factor": .real(plateau.factor), "best": .real(plateau.best), "waited": .integer(plateau.waited),
      ],
      "initial": .optional(initial, JSON.real),
      "epochs": .array(epochs.map { [.real($0.training), .real($0.validation), .real($0.rate)] }),
    ]
    try SafetensorsFile(
      tensors: model.stored.map { $0.renamed("model/\($0.name)") } + best.stored.map { $0.renamed("best/\($0.name)") }
        + optimizer.stored.map { $0.renamed("optimizer/\($0.name)") },
      metadata: [RecurrentModel.metadataKey: model.description.text(), Self.key: progress.text()]
    ).write(to: path, overwrite: true)
  }

  /// - Throws: `Failure` that names the file where it is damaged, or belongs to another training.
  init(path: String, _ settings: Settings, texts: [String]) throws {
    let file = try SafetensorsFile(path: path)
    func damaged(_ reason: String) -> Failure {
      Failure(path, "cannot be resumed", reason, remedy: "train from the beginning, without --resume")
    }
    guard let description = try file.metadata[RecurrentModel.metadataKey].map({ try JSON(parsing: $0.utf8) }),
      let progress = try file.metadata[Self.key].map({ try JSON(parsing: $0.utf8) }),
      progress["schema"]?.string == Self.schema
    else { throw damaged("it is no state of a training") }
    guard progress["texts"] == .strings(texts) else {
      throw damaged("it was trained on other texts, or from another model")
    }
    guard progress["settings"] == settings.json else {
      throw Failure(
        path, "cannot be resumed", "it was trained with the settings \(progress["settings"]?.text() ?? "")",
        remedy: "give the same options, or train from the beginning, without --resume")
    }
    guard let plateau = progress["plateau"], let factor = plateau["factor"]?.real, let best = plateau["best"]?.real,
      let waited = plateau["waited"]?.integer,
      let epochs = progress["epochs"]?.array?.map({ $0.array?.compactMap(\.real) ?? [] }),
      !epochs.isEmpty, epochs.allSatisfy({ $0.count == 3 })
    else { throw damaged("its epochs are missing or malformed") }
    func tensors(_ prefix: String) -> [StoredTensor] {
      file.tensors.filter { $0.name.hasPrefix(prefix) }.map { $0.renamed(String($0.name.dropFirst(prefix.count))) }
    }
    do {
      let model = try RecurrentModel(description, tensors: tensors("model/"))
      var optimizer = Optimizer(.adamW)
      try optimizer.restore(tensors("optimizer/"), for: model.parameters)
      self.init(
        model, best: try RecurrentModel(description, tensors: tensors("best/")), settings, optimizer,
        plateau: (factor, best, waited),
        epochs.map { Epoch(training: $0[0], validation: $0[1], rate: $0[2]) }, initial: progress["initial"]?.real)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }
}

extension CharacterTrainer.Settings {
  var json: JSON {
    [
      "steps": .integer(steps), "batch": .integer(batch), "rate": .real(rate), "carry": .bool(state == .carried),
      "seed": .number(String(seed)),
    ]
  }
}

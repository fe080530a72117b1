import Basics
import Recurrent
import Running
import Training

/// The trainer in a file, from which an interrupted training goes on.
extension CharacterTrainer {
  static let schema = "kcompress.training/2"

  /// The file beside a model from which its training goes on.
  ///
  /// - Parameter sources: the hashes of what is learned from: texts, and the model that training starts from.
  static func stateFile(_ path: String, _ settings: Settings, sources: [String]) -> RunStateFile {
    var options = settings.options
    options["sources"] = .strings(sources)
    return RunStateFile(path: path, schema: schema, options: options)
  }

  /// Puts the trainer into its file.
  ///
  /// - Throws: `Failure` where the file cannot be written.
  func write(to file: RunStateFile) throws {
    try file.write(
      model.stored.map { $0.renamed("model/\($0.name)") } + best.stored.map { $0.renamed("best/\($0.name)") }
        + optimizer.stored.map { $0.renamed("optimizer/\($0.name)") },
      progress: [
        "model": model.description, "plateau": plateau.json, "initial": .optional(initial, JSON.real),
        "epochs": .array(epochs.map { [.real($0.training), .real($0.validation), .real($0.learningRate)] }),
      ])
  }

  /// Goes on where another training stopped.
  ///
  /// - Throws: `Failure` that names the file where it is damaged, or belongs to another training.
  init(resuming file: RunStateFile, _ settings: Settings) throws {
    let state = try file.read()
    guard let description = state.progress["model"],
      let plateau = PlateauHalving(state.progress["plateau"], patience: Self.plateauPatience),
      let entries = state.progress["epochs"]?.array, !entries.isEmpty
    else { throw file.damaged("its progress") }
    let epochs = entries.compactMap(\.reals).filter { $0.count == 3 }
    guard epochs.count == entries.count else { throw file.damaged("one of its epochs") }
    self = try Failure.within(file.path) {
      let model = try RecurrentModel(description, tensors: state.tensors("model/"))
      var optimizer = Optimizer(.adamW)
      try optimizer.restore(state.tensors("optimizer/"), for: model.parameters)
      return Self(
        model, best: try RecurrentModel(description, tensors: state.tensors("best/")), settings, optimizer, plateau,
        epochs.map { Epoch(training: $0[0], validation: $0[1], learningRate: $0[2]) },
        initial: state.progress["initial"]?.real)
    }
  }
}

extension CharacterTrainer.Settings {
  /// What two runs of one training must have in common.
  fileprivate var options: JSONObject {
    [
      "steps": .integer(steps), "batch_size": .integer(batchSize), "learning_rate": .real(learningRate),
      "carry": .bool(state == .carried), "seed": .seed(seed),
    ]
  }
}

import Basics
import Checkpoints
import HDF5
import TensorCore

extension KerasFile {
  static let modelWeights = "model_weights"
  private static let optimizerWeights = "optimizer_weights"
  private static let topLevelWeights = "top_level_model_weights"
  static let recordAttribute = "kcompress"
  static let configAttribute = "model_config"
  static let layerNames = "layer_names"
  static let weightNames = "weight_names"

  /// What no network needs to compute, at the root of a file.
  static let skipped: Set<String> = [optimizerWeights, KerasVariables.optimizer]

  /// Reads the content of a Keras HDF5 file, full model or weights only.
  ///
  /// - Parameter architecture: of a weights-only file, which has none itself.
  /// - Throws: `Failure` when it is no Keras file, names weights that it does not hold, or has an architecture already.
  init(_ root: HDF5Group, architecture: JSON?) throws {
    guard let section = root.groups[Self.modelWeights] ?? (root.hasStrings("layer_names") ? root : nil)
    else {
      throw Failure(
        "", "cannot be read",
        "it is an HDF5 file, but not one of Keras: it has no group 'model_weights' and no attribute 'layer_names'",
        remedy: "expected what Keras' model.save or save_weights writes as .h5")
    }
    guard
      let layerNames = root.groups[Self.modelWeights].map({ $0.strings("layer_names") })
        ?? root.strings("layer_names")
    else { throw Failure("model_weights", "cannot be read", "it has no attribute 'layer_names'") }
    var taken: Set<String> = []
    for name in layerNames where !taken.insert(name).inserted {
      throw Failure("model_weights", "cannot be read", "it names the layer '\(name)' twice")
    }
    isWeightsOnly = root.groups[Self.modelWeights] == nil
    let stored = try root.json("model_config")
    guard architecture == nil || (stored == nil && isWeightsOnly) else { throw CheckpointFile.hasArchitecture }
    modelConfig = architecture ?? stored
    kerasVersion =
      root.string("keras_version") ?? section.string("keras_version") ?? architecture?["keras_version"]?.string
    backend = root.string("backend") ?? section.string("backend") ?? architecture?["backend"]?.string
    layers = try layerNames.map { name in
      LayerGroup(name: name, weights: try section.weights(of: name))
    }
    topLevelWeights =
      section.groups[Self.topLevelWeights] == nil
      ? nil : try section.weights(of: Self.topLevelWeights)
    hasOptimizerState = root.groups[Self.optimizerWeights] != nil
    record = try root.json(Self.recordAttribute)
  }
}

extension HDF5Group {
  fileprivate func string(_ name: String) -> String? {
    switch attributes[name] {
    case .string(let text): text
    case .strings(let texts) where texts.count == 1: texts[0]
    default: nil
    }
  }

  func json(_ name: String) throws -> JSON? {
    guard let text = string(name) else { return nil }
    do {
      return try JSON(parsing: Array(text.utf8))
    } catch let failure as Failure {
      throw failure.within("attribute '\(name)'")
    }
  }

  fileprivate func hasStrings(_ name: String) -> Bool {
    attributes[name] != nil || attributes[name + "0"] != nil
  }

  /// A list of strings, which Keras splits over `name0`, `name1`, ... where it is too long for one attribute; nil where it
  /// is missing.
  fileprivate func strings(_ name: String) -> [String]? {
    switch attributes[name] {
    case .strings(let texts): return texts
    case .string(let text): return [text]
    case .empty: return []
    case .unsupported: return nil
    case nil: break
    }
    var texts: [String]?
    var part = 0
    while case .strings(let more) = attributes["\(name)\(part)"] {
      texts = (texts ?? []) + more
      part += 1
    }
    return texts
  }

  /// The weights of a layer, named by their path below this group.
  fileprivate func weights(of layer: String) throws -> [StoredTensor] {
    guard let group = group(at: layer) else {
      throw Failure("layer '\(layer)'", "cannot be read", "the file names the layer and has no group for it")
    }
    let names = group.strings("weight_names") ?? []
    guard Set(names).count == names.count else {
      throw Failure("layer '\(layer)'", "cannot be read", "two of its weights have the same name")
    }
    return try names.map { name in
      guard let dataset = group.dataset(at: name) else {
        throw Failure("layer '\(layer)'", "cannot be read", "its weight '\(name)' is missing")
      }
      return try StoredTensor(name: "\(layer)/\(name)", dataset)
    }
  }
}

import Basics
import Foundation
import HDF5
import TensorCore

/// A `.keras` archive of Keras 3: configuration and weights in a ZIP file.
///
/// The weights are named by the classes of the layers, `layers/conv2d_1/vars/0`, in the order in which Keras counts them; this
/// type translates between that and the groups of a `KerasFile`, named by layer, on which everything else works.
struct KerasArchive: Sendable {
  /// The members that are not rewritten: assets and the like.
  private let others: [Member]
  /// `metadata.json` as it is.
  private let metadata: [UInt8]
  /// What the weights file has for every layer, by the layer's path; kept for layers whose weights the program does not know.
  private let groups: [String: HDF5Group]

  private struct Member: Sendable {
    let name: String
    let contents: [UInt8]
  }

  private static let metadataName = "metadata.json"
  private static let configName = "config.json"
  private static let weightsName = "model.weights.h5"
  private static let recordName = "kcompress.json"

  /// - Returns: the archive and its content as a Keras file.
  /// - Throws: `Failure` where a member is missing or damaged, or layers and weights do not fit.
  static func read(_ bytes: [UInt8]) throws -> (archive: KerasArchive, file: KerasFile) {
    let zip = try ZipArchive(bytes)
    func contents(_ name: String) throws -> [UInt8] {
      guard let member = zip.members.first(where: { $0.name == name }) else {
        throw Failure("", "cannot be read", "the archive has no member '\(name)'", remedy: "save the model again")
      }
      return try zip.contents(of: member)
    }
    func json(_ name: String) throws -> JSON {
      do { return try JSON(parsing: try contents(name)) } catch let failure as Failure {
        throw failure.subject.isEmpty ? failure.within("member '\(name)'") : failure
      }
    }
    let metadata = try contents(metadataName)
    let config = try json(configName)
    let root = try withTemporaryFile(try contents(weightsName)) { try HDF5File.read($0, skipping: ["optimizer"]) }
    let version = try json(metadataName)["keras_version"]?.string
    let record = zip.members.contains { $0.name == recordName } ? Optional(try json(recordName)) : Optional<JSON>.none
    let model = try KerasModel(config)
    var groups: [String: HDF5Group] = [:]
    try collect(root, of: model, into: &groups)
    let file = KerasFile(
      modelConfig: config, kerasVersion: version ?? "3", backend: nil,
      layers: try model.layers.map { try layerGroup($0, groups, model) }, topLevelWeights: nil, isWeightsOnly: false,
      hasOptimizerState: config["compile_config"]?.object != nil,
      record: record)
    let rewritten = [metadataName, configName, weightsName, recordName]
    let others = try zip.members.filter { !rewritten.contains($0.name) && !$0.name.hasSuffix("/") }
      .map { Member(name: $0.name, contents: try zip.contents(of: $0)) }
    return (KerasArchive(others: others, metadata: metadata, groups: groups), file)
  }

  // MARK: Reading

  /// The group of every layer, nested models included.
  private static func collect(_ group: HDF5Group, of model: KerasModel, into groups: inout [String: HDF5Group]) throws {
    let layers = group.groups["layers"] ?? group.groups["_layer_checkpoint_dependencies"] ?? HDF5Group()
    // By the names that newer versions store, else by Keras's counting.
    let named = Dictionary(
      layers.groups.compactMap { key, member -> (String, HDF5Group)? in
        guard case .string(let name) = member.groups["vars"]?.attributes["name"] else { return nil }
        return (name, member)
      }
    ) { first, _ in first }
    let counted = Dictionary(
      zip(orderedNames(of: model), containerNames(of: model)).compactMap { name, key in
        layers.groups[key].map { (name, $0) }
      }
    ) { first, _ in first }
    for entry in model.layers {
      guard let own = named[entry.name] ?? counted[entry.name] else { continue }
      groups[entry.path] = own
      if let inner = entry.model { try collect(own, of: inner, into: &groups) }
    }
  }

  private static func layerGroup(
    _ entry: KerasEntry, _ groups: [String: HDF5Group], _ model: KerasModel
  ) throws -> KerasFile.LayerGroup {
    let slots = KerasWeights.slots(entry, isFrozen: !model.isTrainable, 3)
    var tensors: [StoredTensor] = []
    for slot in slots {
      let scope = entry.name + "/" + slot.entry.name
      guard let names = slot.names else {
        for (path, dataset) in groups[slot.entry.path]?.allDatasets ?? [] {
          tensors.append(try StoredTensor(name: "\(scope)/\(path)", dataset))
        }
        continue
      }
      // A layer's variables are numbered over both of its slots.
      let all = slots.filter { $0.entry.path == slot.entry.path }.flatMap { $0.names ?? [] }
      for name in names {
        guard let number = all.firstIndex(of: name),
          let dataset = groups[slot.entry.path]?.dataset(at: "vars/\(number)")
        else {
          throw Failure(
            "layer '\(slot.entry.path)'", "does not fit its weights", "the archive has no '\(name)' for it",
            remedy: "save the model again")
        }
        tensors.append(try StoredTensor(name: "\(scope)/\(name)", dataset))
      }
    }
    return KerasFile.LayerGroup(name: entry.name, weights: tensors)
  }

  /// The layers of a model in the order in which Keras counts them; a Sequential does not count its input.
  private static func orderedNames(of model: KerasModel) -> [String] {
    guard model.isSequential else { return KerasLayerOrder.names(of: model) }
    return model.layers.map(\.name).enumerated()
      .filter { $0.offset > 0 || model.layers[0].className != "InputLayer" }.map(\.element)
  }

  /// The name of each of these layers in the weights file: its class in snake case, numbered from the second on.
  private static func containerNames(of model: KerasModel) -> [String] {
    let classes = Dictionary(model.layers.map { ($0.name, $0.className) }) { first, _ in first }
    var counts: [String: Int] = [:]
    return orderedNames(of: model).map { name in
      let base = snakeCase(classes[name] ?? "")
      defer { counts[base, default: 0] += 1 }
      return counts[base].map { "\(base)_\($0)" } ?? base
    }
  }

  /// As Keras does it: before a capital that small letters follow, and between a small letter and a capital.
  static func snakeCase(_ name: String) -> String {
    let letters = Array(name.filter { $0.isLetter || $0.isNumber || $0 == "_" })
    var result = ""
    for (index, letter) in letters.enumerated() {
      if index > 0, letter.isUppercase {
        let startsWord = index + 1 < letters.count && letters[index + 1].isLowercase
        if startsWord || letters[index - 1].isLowercase { result += "_" }
      }
      result += letter.lowercased()
    }
    return result
  }

  // MARK: Writing

  func fileBytes(_ file: KerasFile) throws -> [UInt8] {
    let (texts, weights) = try parts(of: file)
    let data = try Self.withTemporaryFile(nil) { path in
      try HDF5File.write(weights, to: path)
      return try InputFile.read(path)
    }
    return try ZipArchive.fileBytes(texts + [(Self.weightsName, data)] + others.map { ($0.name, $0.contents) })
  }

  func byteCount(_ file: KerasFile) throws -> Int {
    let (texts, weights) = try parts(of: file)
    return ZipArchive.byteCount(
      texts.map { ($0.name, $0.contents.count) } + [(Self.weightsName, try HDF5File.byteCount(weights))]
        + others.map { ($0.name, $0.contents.count) })
  }

  private func parts(of file: KerasFile) throws -> (texts: [(name: String, contents: [UInt8])], weights: HDF5Group) {
    guard let config = file.modelConfig else { preconditionFailure("an archive has a configuration") }
    let model = try KerasModel(config)
    let weights = try KerasWeights(file, of: model)
    var texts = [(name: Self.metadataName, contents: metadata)]
    // Without the optimiser's state there is nothing to go on training with.
    let kept = config.object.map {
      JSONObject($0.pairs.filter { $0.key != "compile_config" }.map { ($0.key, $0.value) })
    }
    texts.append((Self.configName, Array((kept.map(JSON.object) ?? config).text().utf8)))
    if let record = file.record { texts.append((Self.recordName, Array(record.text().utf8))) }
    return (texts, tree(of: model, weights))
  }

  private func tree(of model: KerasModel, _ weights: KerasWeights) -> HDF5Group {
    var layers = HDF5Group()
    let entries = Dictionary(model.layers.map { ($0.name, $0) }) { first, _ in first }
    for (name, key) in zip(Self.orderedNames(of: model), Self.containerNames(of: model)) {
      guard let entry = entries[name] else { continue }
      if let inner = entry.model {
        layers.groups[key] = tree(of: inner, weights)
      } else if let own = weights.byPath[entry.path], own.names.count == own.all.count {
        var group = HDF5Group()
        group.groups["vars"] = Self.variables(name, own.all)
        layers.groups[key] = group
      } else {
        layers.groups[key] = groups[entry.path] ?? HDF5Group(groups: ["vars": Self.variables(name, [])])
      }
    }
    return HDF5Group(groups: ["layers": layers, "vars": Self.variables(model.name, [])])
  }

  private static func variables(_ name: String, _ tensors: [StoredTensor]) -> HDF5Group {
    var group = HDF5Group(attributes: ["name": .string(name)])
    for (number, tensor) in tensors.enumerated() {
      group.datasets["\(number)"] = HDF5Dataset(
        shape: tensor.shape, type: HDF5ElementType(tensor.dtype), bytes: tensor.bytes)
    }
    return group
  }

  /// A file for libhdf5, which reads and writes paths only.
  private static func withTemporaryFile<Result>(_ bytes: [UInt8]?, _ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kcompress-\(ProcessInfo.processInfo.globallyUniqueString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent(weightsName).path
    if let bytes { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
    do {
      return try body(path)
    } catch let failure as Failure where failure.subject == path {
      throw Failure("member '\(weightsName)'", failure.problem, failure.reason, remedy: failure.remedy)
    }
  }
}

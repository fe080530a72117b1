import Basics
import HDF5
import TensorCore

extension KerasFile {
  /// The bytes that HDF5 can hold in an object header, less what Keras leaves for other things.
  private static let attributeLimit = 64512

  /// How many names of at most so many bytes go into one attribute.
  fileprivate static func namesPerAttribute(width: Int) -> Int { max(1, attributeLimit / max(1, width)) }

  /// A list of names as one attribute; nil where it takes several, whose sizes depend on which names stand together.
  ///
  /// - Parameter lengths: of the names, in bytes, in any order.
  static func listSize(_ lengths: some Collection<Int>) -> HDF5AttributeSize? {
    guard let width = lengths.max() else { return .empty }
    return lengths.count > namesPerAttribute(width: width) ? nil : .strings(count: lengths.count, width: width)
  }

  /// The file as Keras would lay it out; optimiser state and training configuration are not part of it, and the architecture of a
  /// weights-only file is not either.
  var hdf5: HDF5Group {
    var root = HDF5Group()
    var section = HDF5Group()
    if let modelConfig, !isWeightsOnly { root.attributes[Self.configAttribute] = .string(modelConfig.text()) }
    if let record { root.attributes[Self.recordAttribute] = .string(record.text()) }
    for (name, value) in [("keras_version", kerasVersion), ("backend", backend)] {
      guard let value else { continue }
      root.attributes[name] = .string(value)
      section.attributes[name] = .string(value)
    }
    section.setStrings(Self.layerNames, groupsWithWeights.map(\.name))
    for layer in groupsWithWeights { section.insert(group(of: layer), at: layer.name) }
    if let topLevelWeights {
      let name = "top_level_model_weights"
      section.insert(group(of: LayerGroup(name: name, weights: topLevelWeights)), at: name)
    }
    if isWeightsOnly {
      root.insert(section, at: "")
    } else {
      root.groups[Self.modelWeights] = section
    }
    return root
  }

  /// The groups that are written: Keras passes over those of layers without weights.
  var groupsWithWeights: [LayerGroup] { layers.filter { !$0.weights.isEmpty } }

  /// The architecture as a file of its own, as `model.to_json()` gives it. Without the optimiser's state there is nothing to go
  /// on training with.
  var architectureText: String? {
    guard let config = modelConfig else { return nil }
    guard let object = config.object else { return config.text() }
    return JSON.object(JSONObject(object.pairs.filter { $0.key != "compile_config" }.map { ($0.key, $0.value) })).text()
  }

  private func group(of layer: LayerGroup) -> HDF5Group {
    var group = HDF5Group()
    let names = layer.weights.map { String($0.name.dropFirst(layer.name.count + 1)) }
    group.setStrings(Self.weightNames, names)
    for (name, weight) in zip(names, layer.weights) {
      group.insert(HDF5Dataset(weight, codings[weight.name]), at: name)
    }
    return group
  }
}

extension HDF5Group {
  /// A list of strings, over several attributes where it is too long for one.
  fileprivate mutating func setStrings(_ name: String, _ texts: [String]) {
    guard !texts.isEmpty else {
      attributes[name] = .empty
      return
    }
    let perAttribute = KerasFile.namesPerAttribute(width: texts.map(\.utf8.count).max() ?? 1)
    guard texts.count > perAttribute else {
      attributes[name] = .strings(texts)
      return
    }
    for (part, start) in stride(from: 0, to: texts.count, by: perAttribute).enumerated() {
      attributes["\(name)\(part)"] = .strings(Array(texts[start..<min(start + perAttribute, texts.count)]))
    }
  }
}

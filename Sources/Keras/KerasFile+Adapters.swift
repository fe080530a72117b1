import Basics
import KerasLayers
import TensorCore

extension KerasFile {
  /// The file with LoRA's matrices added to the kernels that they stand beside, as Keras itself stores such models in its own format.
  ///
  /// What Keras has quantized keeps them: its integers cannot take them up.
  ///
  /// - Throws: `Failure` where the matrices do not fit a kernel.
  func mergingAdapters() throws -> KerasFile {
    guard let config = modelConfig else { return self }
    let merged = Self.withoutAdapters(config, keepingQuantized: true)
    guard merged != config else { return self }
    let (old, new) = (try KerasModel(config), try KerasModel(merged))
    let weights = try KerasWeights(self, of: old)
    var tensors: [String: [String: StoredTensor]] = [:]
    for entry in old.allEntries {
      tensors[entry.path] = try Self.merged(weights.layer(entry), keepingOthers: weights.tensors(of: entry))
    }
    var file = self
    file.modelConfig = merged
    for entry in new.layers {
      guard let position = weights.groups[entry.name], Self.holdsAdapters(entry, in: old) else { continue }
      let slots = KerasWeights.slots(entry, isFrozen: !new.isTrainable, majorVersion)
      file.layers[position] = LayerGroup(
        name: layers[position].name,
        weights: slots.flatMap { slot in (slot.names ?? []).compactMap { tensors[slot.entry.path]?[$0] } })
    }
    return file
  }

  private static func holdsAdapters(_ entry: KerasEntry, in model: KerasModel) -> Bool {
    let own = model.layers.filter { $0.name == entry.name }
    return own.flatMap { $0.model?.allEntries ?? [$0] }.contains { $0.config["lora_rank"]?.integer != nil }
  }

  /// A layer's weights with the product of the two matrices in the kernel.
  private static func merged(
    _ layer: KerasLayer, keepingOthers others: [String: StoredTensor]
  ) throws -> [String: StoredTensor] {
    guard layer.quantizationMode == nil, let scale = layer.adapterScale else { return others }
    var result = others
    for name in ["kernel", "embeddings"] {
      guard let kernel = others[name], let a = others["lora_\(name)_a"], let b = others["lora_\(name)_b"] else {
        continue
      }
      // (..., rank) times (rank, out), for a kernel of (..., out).
      guard a.shape.count == kernel.shape.count, let rank = a.shape.last, let outputs = kernel.shape.last,
        a.shape.dropLast() == kernel.shape.dropLast(), rank > 0, outputs > 0,
        b.shape.first == rank, b.shape.productIfExact == rank * outputs
      else {
        throw layer.failure(
          "does not fit its weights", "LoRA's matrices have the shapes \(a.shape) and \(b.shape)",
          remedy: "expected two whose product is \(kernel.shape)")
      }
      let (x, y) = (try a.decoded(as: Double.self).elements, try b.decoded(as: Double.self).elements)
      var sum = try kernel.decoded(as: Double.self).elements
      for row in 0..<sum.count / outputs {
        for column in 0..<outputs {
          var product = 0.0
          for inner in 0..<rank { product += x[row * rank + inner] * y[inner * outputs + column] }
          sum[row * outputs + column] += scale * product
        }
      }
      result[name] = StoredTensor(
        name: kernel.name, Tensor<Double>(shape: kernel.shape, elements: sum), as: kernel.dtype)
    }
    return result
  }

  /// The configuration of a model whose layers have no matrices of LoRA.
  ///
  /// - Parameter keepingQuantized: Whether those stay that Keras has quantized.
  static func withoutAdapters(_ config: JSON, keepingQuantized: Bool) -> JSON {
    guard var object = config.object, var settings = object["config"]?.object else { return config }
    if let layers = settings["layers"]?.array {
      settings["layers"] = .array(layers.map { withoutAdapters($0, keepingQuantized: keepingQuantized) })
    } else if settings["lora_rank"]?.integer != nil {
      let isQuantized = settings["dtype"]?["config"]?["mode"]?.string != nil
      guard !(keepingQuantized && isQuantized) else { return config }
      settings["lora_rank"] = nil
      settings["lora_alpha"] = nil
    } else {
      return config
    }
    object["config"] = .object(settings)
    return .object(object)
  }
}

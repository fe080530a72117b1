import Basics
import KerasLayers
import TensorCore

extension KerasFile {
  /// The file with a configuration that Keras 2 and 3 read and with kernels as TensorFlow stores and applies them.
  ///
  /// Theano turned kernels by 180 degrees before it applied them, and Keras 1 stored those of channels-first layers as (out,
  /// in, rows, columns). Keras itself converts both when it loads such a file.
  ///
  /// - Throws: `Failure` where it is unknown how a kernel is to be read.
  func upgradedToKeras2() throws -> KerasFile {
    let isTheano = backend == "theano"
    func with(_ config: JSON) -> KerasFile {
      var file = self
      file.modelConfig = config
      return file
    }
    guard let stored = modelConfig else { return self }
    let config = KerasConfigRepair.repaired(stored)
    guard majorVersion < 2 || isTheano else { return with(config) }
    let upgraded = majorVersion < 2 ? try KerasConfigUpgrade.model(config) : config
    let model = try KerasModel(upgraded)
    let bare = with(upgraded)
    let weights = try KerasWeights(bare, of: model)
    let entries = model.allEntries
    let turned = try entries.flatMap { entry in
      try (weights.byPath[entry.path].map { zip($0.names, $0.all) }.map(Array.init) ?? []).compactMap {
        name, tensor -> (String, StoredTensor)? in
        guard name.hasSuffix("kernel"), tensor.shape.count > 2 else { return nil }
        let layer = KerasLayer(entry: entry, majorVersion: 2)
        let standing = majorVersion < 2 ? try tensor.upgraded(layer, name) : tensor
        return (tensor.name, isTheano ? try standing.turned(layer, name) : standing)
      }
    }
    let byName = Dictionary(turned) { first, _ in first }
    var result = bare
    if majorVersion < 2 { result.kerasVersion = "2.2.4" }
    result.backend = "tensorflow"
    result.layers = layers.map { group in
      LayerGroup(name: group.name, weights: group.weights.map { byName[$0.name] ?? $0 })
    }
    return result
  }
}

extension StoredTensor {
  /// A Keras 1 kernel in the order of Keras 2.
  fileprivate func upgraded(_ layer: KerasLayer, _ weight: String) throws -> StoredTensor {
    let isFirst = try layer.layout() == .channelsFirst
    switch layer.entry.className {
    case "Conv1D":
      // (length, 1, in, out): Keras 1 computed them as two-dimensional.
      guard shape.count == 4, shape[1] == 1 else { return self }
      return StoredTensor(name: name, dtype: dtype, shape: [shape[0], shape[2], shape[3]], bytes: bytes)
    case "Conv2D", "SeparableConv2D":
      guard isFirst, shape.count == 4 else { return self }
      return rearranged([2, 3, 1, 0], reversing: [])
    case "Conv3D":
      guard isFirst, shape.count == 5 else { return self }
      return rearranged([2, 3, 4, 1, 0], reversing: [])
    case "Conv2DTranspose":
      guard shape.count == 4 else { return self }
      return rearranged(isFirst ? [2, 3, 0, 1] : [0, 1, 3, 2], reversing: [])
    default: return self
    }
  }

  /// The kernel turned by 180 degrees.
  fileprivate func turned(_ layer: KerasLayer, _ weight: String) throws -> StoredTensor {
    guard ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"].contains(layer.entry.className) else {
      throw layer.failure(
        "cannot be read", "how Theano applies the kernels of a \(layer.entry.className) layer is not known",
        remedy: "load and save the model with the TensorFlow backend")
    }
    return rearranged(Array(shape.indices), reversing: Set(0..<shape.count - 2))
  }

  /// Mode `n` of the result is mode `order[n]` of the tensor, backwards if `reversing` holds `n`.
  func rearranged(_ order: [Int], reversing: Set<Int>) -> StoredTensor {
    precondition(order.sorted() == Array(shape.indices), "\(order) is no permutation of \(shape)")
    let width = dtype.bits / 8
    let newShape = order.map { shape[$0] }
    var strides = Array(repeating: 1, count: shape.count)
    for mode in shape.indices.dropLast().reversed() { strides[mode] = strides[mode + 1] * shape[mode + 1] }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for position in 0..<newShape.reduce(1, *) {
      var rest = position
      var source = 0
      for mode in newShape.indices.reversed() {
        let index = rest % newShape[mode]
        rest /= newShape[mode]
        source += (reversing.contains(mode) ? newShape[mode] - 1 - index : index) * strides[order[mode]]
      }
      result += bytes[source * width..<(source + 1) * width]
    }
    return StoredTensor(name: name, dtype: dtype, shape: newShape, bytes: result)
  }
}

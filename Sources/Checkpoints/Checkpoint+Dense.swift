import Basics
import ModelGraph
import TensorCore

extension Checkpoint {
  /// Writes the checkpoint with other values for some kernels, under their own names and in their own shapes: a file of the
  /// original's form, for whatever reads the original.
  ///
  /// - Parameter kernels: by the layers' names, in the program's order (`Layer.kernelShape`).
  /// - Throws: `Failure` when a value is no finite number of its tensor's type, or the file exists or cannot be written.
  public func write(kernels: [String: Tensor<Double>], to path: String, overwrite: Bool) throws {
    var changed: [String: StoredTensor] = [:]
    for layer in layers {
      guard let kernel = kernels[layer.name], let stored = tensor(named: layer.kernel.name) else { continue }
      changed[stored.name] = try StoredTensor(
        name: stored.name, layer.kernel.write(kernel, shape: stored.shape), as: stored.dtype, of: layer)
    }
    switch content {
    case .safetensors(let set): try set.substituting(changed).write(to: path, overwrite: overwrite)
    case .onnx(let graph):
      var edit = ONNXEdit(graph.model)
      for (name, tensor) in changed.sorted(by: { $0.key < $1.key }) {
        edit.remove(tensor: name)
        edit.add(name, shape: tensor.shape, dtype: tensor.dtype, tensor.bytes)
      }
      try OutputFile.write(try edit.fileBytes(), to: path, overwrite: overwrite)
    case .keras(let graph):
      try write(graph.file.substituting(changed), of: graph, to: path, overwrite: overwrite)
    }
  }
}

extension TensorReference {
  /// The tensor as it is stored: undoes `read`.
  fileprivate func write(_ tensor: Tensor<Double>, shape stored: [Int]) -> Tensor<Double> {
    guard let permutation else { return tensor.reshaped(stored) }
    return tensor.reshaped(permutation.map { stored[$0] }).permuted(permutation.inversePermutation)
  }
}

extension SafetensorsSet {
  fileprivate func substituting(_ changed: [String: StoredTensor]) -> SafetensorsSet {
    SafetensorsSet(
      shards: shards.map { shard in
        Shard(
          fileName: shard.fileName, metadata: shard.metadata, tensors: shard.tensors.map { changed[$0.name] ?? $0 })
      }, isSharded: isSharded)
  }
}

extension KerasFile {
  fileprivate func substituting(_ changed: [String: StoredTensor]) -> KerasFile {
    KerasFile(
      modelConfig: modelConfig, kerasVersion: kerasVersion, backend: backend,
      layers: layers.map { group in
        LayerGroup(name: group.name, weights: group.weights.map { changed[$0.name] ?? $0 })
      }, topLevelWeights: topLevelWeights, isWeightsOnly: isWeightsOnly, hasOptimizerState: false, record: nil)
  }
}

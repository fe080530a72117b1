import Basics
import ModelGraph
import TensorCore

/// What begins a network on sequences: embeddings and masks.
extension KerasLayerType {
  static let embeddings: [String: KerasLayerType] = [
    "Embedding": KerasLayerType(
      weightNames: { layer in
        layer.quantization(of: ["embeddings"]) { KerasWeightNames(trainable: ["embeddings"]) }
      },
      layers: { layer in try layer.embeddingKernel() },
      expansion: { use in
        guard let indices = try use.values().first else { throw use.layer.withoutInput }
        let result = try use.embedding(of: indices)
        if use.layer.bool("mask_zero", default: false) {
          let zero = use.scalar(0)
          let isPadding = use.elementwise(.equal, indices, zero)
          use.setMask(use.function(.not, of: isPadding), of: result)
        }
        return [result]
      }),
    "Masking": KerasLayerType(expansion: { use in
      guard let value = try use.values().first else { throw use.layer.withoutInput }
      let padding = use.scalar(try use.layer.real("mask_value", default: 0))
      let isPadding = use.elementwise(.equal, value, padding)
      let counts = use.reduce(.maximum, use.function(.not, of: isPadding), axes: [-1], keepsAxes: false)
      let result = try use.masked(value, by: counts)
      use.setMask(counts, of: result)
      return [result]
    }),
  ]
}

extension KerasLayer {
  /// What a layer without inputs says.
  var withoutInput: Failure { failure("cannot be run", "it is applied to nothing") }

  /// A table of vectors, (entries, length). No structure looks up a row.
  fileprivate func embeddingKernel() throws -> [Layer] {
    let stored = try weight("embeddings", [nil, nil])
    return [matrix(path, stored, order: [1, 0], reason: "it is a table of vectors, of which rows are taken")]
  }

  /// A kernel that is listed and never replaced.
  ///
  /// - Parameter order: The order of the stored axes in which outputs come first; what follows is seen as one axis.
  func matrix(_ name: String, _ stored: StoredTensor, order: [Int]? = nil, outputs: Int? = nil, reason: String) -> Layer
  {
    let order = order ?? stored.shape.indices.reversed()
    let count = stored.shape.reduce(1, *)
    let rows = outputs ?? (order.first.map { stored.shape[$0] } ?? 1)
    let shape = [rows, rows > 0 ? count / rows : 0]
    return Layer(
      name: name, kind: .linear, kernel: TensorReference(stored.name, permutation: order, shape: shape), bias: nil,
      dtype: stored.dtype, convolution: Convolution(kernelShape: shape, window: .unit(0)), refusal: reason)
  }
}

extension KerasUse {
  /// The rows of the table that the indices name.
  fileprivate mutating func embedding(of indices: String) throws -> String {
    let whole = function(.truncate, of: indices)
    let table = try parameter("embeddings", [nil, nil])
    let rows = append(.gather(axis: 0), [table, whole])
    guard layer.quantizationMode != nil else { return rows }
    let scales = try parameter("embeddings_scale", [nil])
    let scale = append(.gather(axis: 0), [scales, whole])
    let axis = try rank(of: scale)
    var result = elementwise(.divide, rows, expand(scale, axes: [axis]))
    if let factor = layer.adapterScale {
      let a = try parameter("lora_embeddings_a", [nil, nil])
      let b = try parameter("lora_embeddings_b", [nil, nil])
      let taken = append(.gather(axis: 0), [a, whole])
      let added = append(.matrixProduct, [taken, b])
      let number = scalar(factor)
      result = elementwise(.add, result, elementwise(.multiply, added, number))
    }
    return result
  }
}

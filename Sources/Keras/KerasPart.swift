import Basics
import Checkpoints
import KerasLayers
import TensorCore

/// A stock layer that stands, with others, in place of a replaced one.
struct KerasPart: Sendable {
  /// A weight under the name that `KerasLayerType` gives it.
  struct Weight: Sendable {
    enum Content: Sendable {
      /// Factor `index` of the replacement, seen under `shape` and permuted by `order` to the order of the file.
      case factor(index: Int, shape: [Int], order: [Int])
      /// A tensor of the replaced layer.
      case original(StoredTensor)
      case ones(shape: [Int])
    }

    let name: String
    let content: Content
  }

  let className: String
  /// The configuration beside what every layer has.
  var settings: JSONObject
  var weights: [Weight] = []
  /// The batch included; nil where the extent is not known.
  var outputShape: [Int?]

  /// The position among the replacement's convolutions of the one that the part computes, nil if it computes none.
  var factor: Int? {
    for weight in weights {
      if case .factor(let index, _, _) = weight.content { return index }
    }
    return nil
  }
}

extension KerasPart.Weight {
  /// The shape that the file states.
  var storedShape: [Int] {
    switch content {
    case .original(let tensor): tensor.shape
    case .ones(let shape): shape
    case .factor(_, let shape, let order): order.map { shape[$0] }
    }
  }

  /// The type that the file states, in the place of a layer of some type.
  func storedType(_ dtype: DType) -> DType {
    switch content {
    case .original(let tensor): tensor.dtype
    case .ones, .factor: dtype
    }
  }

  /// How the file stores it if it takes fewer bits than its type; nil for others.
  func coding(in replacement: Replacement) -> KerasCoding? {
    switch content {
    case .original, .ones: nil
    case .factor(let index, _, _): KerasCoding(replacement, index)
    }
  }

  /// The tensor as the file stores it; zeros where there are no factors.
  func stored(named name: String, factors: [Tensor<Double>], as dtype: DType) -> StoredTensor {
    switch content {
    case .original(let tensor): return tensor.renamed(name)
    case .ones(let shape):
      return StoredTensor(name: name, Tensor<Double>(zeros: shape).map { _ in 1 }, as: dtype)
    case .factor(let index, let shape, let order):
      guard !factors.isEmpty else {
        return StoredTensor(name: name, Tensor<Double>(zeros: order.map { shape[$0] }), as: dtype)
      }
      return StoredTensor(name: name, factors[index].reshaped(shape).permuted(order), as: dtype)
    }
  }
}

/// Why stock layers cannot express something.
struct KerasRefusal: Error {
  let reason: String
}

import Basics
import ModelGraph
import TensorCore

extension StoredTensor {
  /// Stores a new weight of a layer. A factor can be larger than any weight of the kernel, and F16 ends at 65504.
  ///
  /// - Throws: `Failure` where a value is no finite number of the type.
  package init<Scalar>(name: String, _ weight: Tensor<Scalar>, as dtype: DType, of layer: Layer) throws {
    self.init(name: name, weight, as: dtype)
    guard isFinite else {
      throw Failure(
        "layer '\(layer.name)'", "cannot be written", "'\(name)' has values that are no finite \(dtype.rawValue)",
        remedy: "choose another structure for the layer")
    }
  }
}

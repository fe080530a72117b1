import TensorCore

/// A tensor that lies inside a part of the network which the program leaves as it is.
package struct InnerTensor: Sendable, Equatable {
  /// The name in the file.
  package let name: String
  package let dtype: DType
  package let shape: [Int]
  /// The part: "a branch of If", say.
  package let place: String

  /// A tensor and the part that holds it.
  package init(_ name: String, _ dtype: DType, _ shape: [Int], in place: String) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.place = place
  }
}

import TensorCore

/// Integers that a file holds as a tensor of their own, equal ones once: the extents that a reshaping makes, or the places that a
/// selection takes its elements from.
package struct IntegerVector: Sendable, Hashable {
  /// What the integers are for.
  package enum Kind: String, Sendable {
    /// They are the extents of a shape.
    case extents = "shape"
    /// They are places along an axis.
    case places
  }

  /// What the integers are for.
  package let kind: Kind
  /// The integers in order.
  package let values: [Int]

  /// Makes a vector of its parts.
  package init(_ kind: Kind, _ values: [Int]) {
    self.kind = kind
    self.values = values
  }

  /// The type in which the integers are stored. A reshaping wants 64 bits; places may be shorter.
  package var dtype: DType {
    switch kind {
    case .extents: .i64
    case .places: .i32
    }
  }

  /// The integers as little-endian bytes of their type.
  package var bytes: [UInt8] {
    switch kind {
    case .extents: values.map(Int64.init).rawBytes
    case .places: values.map { Int32($0) }.rawBytes
    }
  }
}

/// A group of an HDF5 file with everything below it, as plain values.
package struct HDF5Group: Sendable, Equatable {
  package var attributes: [String: HDF5Attribute]
  package var groups: [String: HDF5Group]
  package var datasets: [String: HDF5Dataset]

  package init(
    attributes: [String: HDF5Attribute] = [:], groups: [String: HDF5Group] = [:],
    datasets: [String: HDF5Dataset] = [:]
  ) {
    self.attributes = attributes
    self.groups = groups
    self.datasets = datasets
  }

  /// The group at a path below this group; nil where there is none.
  package func group(at path: String) -> HDF5Group? {
    path.split(separator: "/").reduce(self as HDF5Group?) { group, name in
      group?.groups[String(name)]
    }
  }

  /// The dataset at a path below this group, `conv2d/kernel:0` say; nil where there is none.
  package func dataset(at path: String) -> HDF5Dataset? {
    let parts = path.split(separator: "/")
    guard let name = parts.last else { return nil }
    return group(at: parts.dropLast().joined(separator: "/"))?.datasets[String(name)]
  }

  /// Every dataset below this group with its path, in the order of the names.
  package var allDatasets: [(path: String, dataset: HDF5Dataset)] {
    datasets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
      + groups.sorted { $0.key < $1.key }.flatMap { name, group in
        group.allDatasets.map { ("\(name)/\($0.path)", $0.dataset) }
      }
  }

  /// Puts a dataset at a path below this group and makes the groups on the way.
  package mutating func insert(_ dataset: HDF5Dataset, at path: String) {
    let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true)
    guard let first = parts.first.map(String.init) else { return }
    if parts.count == 1 {
      datasets[first] = dataset
    } else {
      groups[first, default: HDF5Group()].insert(dataset, at: String(parts[1]))
    }
  }

  /// Puts a group at a path below this group and makes the groups on the way; what is there is merged with it.
  package mutating func insert(_ group: HDF5Group, at path: String) {
    let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true)
    guard let first = parts.first.map(String.init) else {
      attributes.merge(group.attributes) { _, new in new }
      for (name, dataset) in group.datasets { datasets[name] = dataset }
      for (name, member) in group.groups { insert(member, at: name) }
      return
    }
    groups[first, default: HDF5Group()].insert(group, at: parts.count == 1 ? "" : String(parts[1]))
  }
}

/// An array of an HDF5 file.
package struct HDF5Dataset: Sendable, Equatable {
  package let shape: [Int]
  package let type: HDF5ElementType
  /// Row-major and little-endian whatever the file has; empty where the type is unsupported.
  package let bytes: [UInt8]

  package init(shape: [Int], type: HDF5ElementType, bytes: [UInt8]) {
    self.shape = shape
    self.type = type
    self.bytes = bytes
  }
}

/// The types that arrays of networks have.
package enum HDF5ElementType: Sendable, Equatable {
  /// IEEE binary16, binary32 or binary64.
  case float(bits: Int)
  /// The upper half of a binary32: read from a float type and from two opaque bytes, written as the latter, which is what
  /// h5py does.
  case brainFloat
  /// Floating-point numbers of one byte: a sign, three bits of exponent, four of mantissa, with a bias of at least 1. At most 2^bits - 1 different
  /// bytes occur, and each takes `bits` bits in the file. They are read as binary32.
  case byteFloat(bias: Int, bits: Int)
  case signed(bits: Int)
  case unsigned(bits: Int)
  /// The boolean of h5py: an enumeration FALSE = 0, TRUE = 1 of one byte.
  case boolean
  /// A type that arrays of numbers do not have; the text says what it is.
  case unsupported(String)

  /// The size of an element in bytes, nil where the type is unsupported.
  package var byteCount: Int? {
    switch self {
    case .float(let bits), .signed(let bits), .unsigned(let bits): bits / 8
    case .brainFloat: 2
    case .boolean, .byteFloat: 1
    case .unsupported: nil
    }
  }
}

extension HDF5ElementType {
  /// What an array takes in a file beside its header; nil where the type is unsupported.
  func byteCount(of shape: [Int]) -> Int? {
    switch self {
    case .byteFloat(_, let bits): FixedLengthDeflate.byteCount(shape.reduce(1, *), bits: bits)
    case .float, .brainFloat, .signed, .unsigned, .boolean, .unsupported: byteCount.map { shape.reduce($0, *) }
    }
  }

  /// Whether the file holds codes for the elements, in one compressed chunk.
  var isCoded: Bool {
    switch self {
    case .byteFloat: true
    case .float, .brainFloat, .signed, .unsigned, .boolean, .unsupported: false
    }
  }
}

/// A small value attached to a group.
package enum HDF5Attribute: Sendable, Equatable {
  /// A scalar string, of fixed or, as it must be beyond 64 kB, of variable length.
  case string(String)
  /// A one-dimensional array of strings; written with one fixed length.
  case strings([String])
  /// No elements, of whatever type; written as float64 of shape (0), as h5py stores an empty list.
  case empty
  /// Anything else; it cannot be written.
  case unsupported
}

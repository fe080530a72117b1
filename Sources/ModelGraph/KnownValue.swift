import Basics

/// What is known of a value before the network runs.
struct KnownValue {
  /// The extents; nil for an open one.
  var shape: [Int?]
  /// The elements, row-major, where the value is a short list of numbers from which shapes are made; nil for an open one.
  var content: [Double?]?

  init(_ shape: [Int?], content: [Double?]? = nil) {
    self.shape = shape
    self.content = shape.count <= 1 && content?.count ?? 0 <= Self.longest ? content : nil
  }

  init(_ literal: Literal) {
    self.init(literal.shape, content: literal.values)
  }

  /// Content of longer values is not followed.
  private static let longest = 256

  /// The content as integers, where the length is known.
  var integers: [Int?]? { content.map { $0.map { $0.flatMap(Int.init(clampingTruncated:)) } } }

  /// The whole content as integers.
  ///
  /// - Throws: `Failure` where some of it is open.
  func requiredIntegers(_ role: String) throws -> [Int] {
    let known = integers?.compactMap(\.self)
    guard let known, known.count == content?.count else {
      throw misfit("its \(role) depend on the data", "expected numbers that follow from the inputs' shapes")
    }
    return known
  }
}

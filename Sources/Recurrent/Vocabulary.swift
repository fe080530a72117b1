/// The symbols of a character model: Unicode scalars, numbered from 1 in their order; 0 stands for everything else.
package struct Vocabulary: Sendable, Equatable {
  package let scalars: [Unicode.Scalar]
  private let numbers: [Unicode.Scalar: Int]

  /// The number of what the vocabulary does not have.
  package static let unknown = 0
  /// What an unknown symbol is written as.
  package static let replacement: Unicode.Scalar = "\u{FFFD}"

  /// - Precondition: every scalar once.
  package init(_ scalars: [Unicode.Scalar]) {
    precondition(Set(scalars).count == scalars.count, "a scalar occurs twice")
    self.scalars = scalars
    numbers = Dictionary(uniqueKeysWithValues: scalars.enumerated().map { ($1, $0 + 1) })
  }

  /// A vocabulary of all the characters that a text has.
  package init(of text: String) { self.init(Set(text.unicodeScalars).sorted()) }

  /// The symbols, the unknown one included.
  package var count: Int { scalars.count + 1 }

  /// A text as numbers.
  package func encode(_ text: String) -> [Int] { text.unicodeScalars.map { numbers[$0] ?? Self.unknown } }

  package subscript(number: Int) -> Unicode.Scalar {
    number == Self.unknown ? Self.replacement : scalars[number - 1]
  }
}

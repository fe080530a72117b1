import Basics
import Checkpoints

/// The form that a layer takes: its own dense kernel, or the factors of a structure.
package enum LayerForm: Sendable, Equatable {
  case dense
  /// A structure's name, its ranks, and the shapes that its factors have.
  case factored(structure: String, ranks: [Int], shapes: [[Int]])

  /// The name of the dense form in plans, reports and JSON.
  package static let denseName = Replacement.dense

  package init(structure: String, ranks: [Int], shapes: [[Int]]) {
    self =
      structure == Self.denseName ? .dense : .factored(structure: structure, ranks: ranks, shapes: shapes)
  }

  package var isDense: Bool { self == .dense }

  /// `dense` or the structure's name.
  package var structure: String {
    switch self {
    case .dense: Self.denseName
    case .factored(let structure, _, _): structure
    }
  }

  /// The ranks of the structure; empty for the dense form.
  package var ranks: [Int] {
    switch self {
    case .dense: []
    case .factored(_, let ranks, _): ranks
    }
  }

  /// The shapes of the factors; empty for the dense form.
  package var shapes: [[Int]] {
    switch self {
    case .dense: []
    case .factored(_, _, let shapes): shapes
    }
  }

  /// `tr 4, 8, 8 of 8x2x2 4x2 ...`: two forms with the same text are the same.
  package var text: String {
    switch self {
    case .dense: return structure
    case .factored(let structure, let ranks, let shapes):
      let factors = shapes.map { $0.map(String.init).joined(separator: "x") }.joined(separator: " ")
      return "\(structure) \(ranks.map(String.init).joined(separator: ", ")) of \(factors)"
    }
  }

  /// The keys that state a form in JSON: `structure`, `ranks`, `shapes`.
  package var pairs: [(String, JSON)] {
    [
      ("structure", .string(structure)), ("ranks", .integers(ranks)),
      ("shapes", .array(shapes.map { .integers($0) })),
    ]
  }
}

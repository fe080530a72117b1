import Foundation

/// How the length of the steps changes over a run whose length is known.
package enum LearningRate: Sendable, Equatable {
  case constant
  /// The learning rate goes up along a line over the first part, then down to 0 along half a cosine (Loshchilov and
  /// Hutter, 2017).
  case cosine(warmUp: Double)
  /// Up from a 25th along half a cosine over the first part, then down to a 10,000th of that (Smith and Topin, 2018; the
  /// numbers are PyTorch's).
  case oneCycle(warmUp: Double)

  /// What the highest rate is multiplied by.
  ///
  /// - Parameters:
  ///   - step: from 0.
  ///   - total: of all steps, 1 or more.
  package func factor(_ step: Int, of total: Int) -> Double {
    switch self {
    case .constant: return 1
    case .cosine(let part):
      let top = part * Double(total)
      if Double(step) < top { return Double(step + 1) / (top + 1) }
      return (1 + cos(.pi * (Double(step) - top) / max(1, Double(total) - top))) / 2
    case .oneCycle(let part):
      let (start, end) = (1.0 / 25, 1e-4 / 25)
      let last = Double(max(1, total - 1))
      let top = max(1, part * Double(total) - 1)
      func between(_ a: Double, _ b: Double, _ place: Double) -> Double { b + (a - b) * (1 + cos(.pi * place)) / 2 }
      if Double(step) <= top, total > 1 { return between(start, 1, Double(step) / top) }
      return between(1, end, min(1, (Double(step) - top) / max(1, last - top)))
    }
  }
}

/// Halves the length of the steps whenever a loss has not become less for a while.
package struct PlateauHalving: Sendable, Equatable {
  /// Observations without progress that are borne.
  package let patience: Int
  /// What the rate is multiplied by.
  package private(set) var factor = 1.0
  /// The least loss so far.
  package private(set) var best = Double.infinity
  /// The observations since the last progress.
  package private(set) var waited = 0

  /// Begins with the full rate.
  package init(patience: Int) { self.patience = patience }

  /// Goes on where another one was.
  package init(patience: Int, factor: Double, best: Double, waited: Int) {
    (self.patience, self.factor, self.best, self.waited) = (patience, factor, best, waited)
  }

  /// Takes note of a loss; the factor halves where too many in a row made no progress.
  package mutating func observe(_ loss: Double) {
    if loss < best {
      (best, waited) = (loss, 0)
      return
    }
    waited += 1
    if waited > patience { (factor, waited) = (factor / 2, 0) }
  }
}

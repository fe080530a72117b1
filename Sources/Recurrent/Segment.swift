/// Pieces of text of equal length that run side by side: every row is one piece.
package struct Segment: Sendable {
  package let steps: Int
  package let rows: Int
  /// Symbols, all rows of the first step, then all of the second.
  package let inputs: [Int]
  /// The symbols that follow, in the same order.
  package let targets: [Int]
  /// The states in which the rows begin (rows x n); empty for zeros.
  package let states: [Float]

  /// - Parameters:
  ///   - tokens: the text.
  ///   - starts: where each row begins; `steps + 1` symbols are read from there.
  package init(_ tokens: [Int], starts: [Int], steps: Int, states: [Float] = []) {
    precondition(starts.allSatisfy { $0 >= 0 && $0 + steps < tokens.count }, "a row reaches beyond the text")
    self.steps = steps
    self.states = states
    rows = starts.count
    var inputs: [Int] = []
    var targets: [Int] = []
    inputs.reserveCapacity(steps * rows)
    targets.reserveCapacity(steps * rows)
    for step in 0..<steps {
      for start in starts {
        inputs.append(tokens[start + step])
        targets.append(tokens[start + step + 1])
      }
    }
    (self.inputs, self.targets) = (inputs, targets)
  }

  /// The symbols that are predicted.
  package var count: Int { steps * rows }
}

/// Positions sorted by their symbol, so that what depends on the symbol is one product for all of them.
struct SymbolGroups {
  /// The positions, those of equal symbols behind each other.
  private(set) var order: [Int]
  /// For each symbol that occurs, where its positions stand in `order`.
  private(set) var groups: [(symbol: Int, range: Range<Int>)] = []

  init(_ symbols: ArraySlice<Int>, count: Int) {
    var ends = [Int](repeating: 0, count: count)
    for symbol in symbols { ends[symbol] += 1 }
    var start = 0
    for symbol in 0..<count where ends[symbol] > 0 {
      let size = ends[symbol]
      groups.append((symbol, start..<start + size))
      ends[symbol] = start
      start += size
    }
    order = [Int](repeating: 0, count: symbols.count)
    for (position, symbol) in symbols.enumerated() {
      order[ends[symbol]] = position
      ends[symbol] += 1
    }
  }
}

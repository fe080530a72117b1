import Basics
import ModelGraph
import TensorCore

/// Tries all structures on a layer and keeps the candidates that are worth planning with.
public struct Sweep: Sendable {
  public let structures: [any Structure]
  /// About how many candidates a layer keeps.
  public let limit: Int

  public init(structures: [any Structure] = Structures.all, limit: Int = 60) {
    self.structures = structures
    self.limit = limit
  }

  /// Candidates with fewer parameters than the dense kernel, of which none has both more parameters and no smaller discrepancy
  /// than another, by ascending parameters. Grouped layers have none.
  ///
  /// - Parameter kernel: (out, in, spatial...).
  /// - Throws: `Failure` when the kernel has another shape than the layer or holds NaN or infinity.
  public func candidates(
    for kernel: Tensor<Double>, convolution: Convolution, hasBias: Bool
  ) throws -> [Candidate] {
    try checkKernel(kernel, shape: convolution.kernelShape)
    guard convolution.groups == 1, convolution.batch == 1, kernel.count > 0 else { return [] }
    let biasChannels = hasBias ? convolution.kernelShape[0] : nil
    var scored: [Scored] = []
    for (index, structure) in structures.enumerated() {
      let ones = Array(repeating: 1, count: (structure.rankAxes.flatMap { $0 }.max() ?? -1) + 1)
      let runnable = structure.shapes(for: kernel.shape).filter { shapes in
        let pattern = FactorPattern(shapes: shapes, ranks: ones, rankAxes: structure.rankAxes)
        return structure.lowering(of: pattern)
          .stages(window: convolution.window, biasChannels: biasChannels) != nil
      }
      for score in try structure.scores(of: kernel, shapes: runnable) {
        let count = score.pattern.parameterCount
        guard count < kernel.count, score.discrepancy.isFinite else { continue }
        scored.append(Scored(structure: index, score: score, parameterCount: count))
      }
    }
    return Self.thinned(Self.front(of: scored), limit: limit).compactMap { entry in
      let structure = structures[entry.structure]
      return structure.lowering(of: entry.score.pattern)
        .stages(window: convolution.window, biasChannels: biasChannels)
        .map {
          Candidate(
            structure: structure.name, pattern: entry.score.pattern,
            discrepancy: entry.score.discrepancy, stages: $0)
        }
    }
  }

  private struct Scored {
    let structure: Int
    let score: Score
    let parameterCount: Int
    var discrepancy: Double { score.discrepancy }
  }

  /// What nothing dominates; of equals the first structure's first.
  private static func front(of scored: [Scored]) -> [Scored] {
    let order = scored.indices.sorted {
      (scored[$0].parameterCount, scored[$0].discrepancy, $0)
        < (scored[$1].parameterCount, scored[$1].discrepancy, $1)
    }
    var front: [Scored] = []
    for index in order {
      // A gain below the fit's own precision is none.
      if let last = front.last, scored[index].discrepancy >= last.discrepancy - 1e-9 { continue }
      front.append(scored[index])
    }
    return front
  }

  /// The lower convex hull of the front, which is all that a Lagrangian plan picks from, and between its points a spread of
  /// others.
  private static func thinned(_ front: [Scored], limit: Int) -> [Scored] {
    guard front.count > limit else { return front }
    var hull: [Int] = []
    for index in front.indices {
      while hull.count > 1,
        !turnsUp(front[hull[hull.count - 2]], front[hull[hull.count - 1]], front[index])
      {
        hull.removeLast()
      }
      hull.append(index)
    }
    let spread = Array(front.indices).spread(limit: max(2, limit - hull.count)) {
      Double(front[$0].parameterCount)
    }
    return Set(hull).union(spread).sorted().map { front[$0] }
  }

  /// Whether b lies below the line from a to c; the loss of a layer goes with the squared discrepancy.
  private static func turnsUp(_ a: Scored, _ b: Scored, _ c: Scored) -> Bool {
    func loss(_ entry: Scored) -> Double { entry.discrepancy * entry.discrepancy }
    return (loss(b) - loss(a)) * Double(c.parameterCount - b.parameterCount)
      < (loss(c) - loss(b)) * Double(b.parameterCount - a.parameterCount)
  }
}

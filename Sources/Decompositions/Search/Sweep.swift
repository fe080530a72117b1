import Basics
import ModelGraph
import TensorCore

/// The curve of a layer: what each structure reaches at parameter counts from a fortieth of the kernel's up to all of them.
public struct Sweep: Sendable {
  /// The structures that are tried, in the order in which equals are preferred.
  public let structures: [any Structure]
  /// Ranks above 1 are multiples of this.
  public let rankMultiple: Int

  /// The ratio between the parameter counts where they cost nothing; elsewhere it is that of the fits' ladder.
  private static let fineStep = 1.01
  /// The parameters, as parts of the dense kernel's, between which curves run.
  private static let range = 0.025...0.94
  /// The parameters, as parts of the dense kernel's, at which patterns are searched for; elsewhere they are scaled from there.
  private static let anchors = [0.35, 0.12]
  private static let largeKernel = 1 << 20
  /// Multiply-accumulates for one spectrum. Balanced splits of a large kernel are both the dearest to score and the worst: the
  /// papers' many small, unbalanced summands win.
  private static let spectrumWork = 3e8

  /// A sweep over these structures.
  ///
  /// - Precondition: The multiple is positive.
  public init(structures: [any Structure] = Structures.all, rankMultiple: Int = 1) {
    precondition(rankMultiple > 0)
    self.structures = structures
    self.rankMultiple = rankMultiple
  }

  /// Candidates with fewer parameters than the dense kernel, for each structure by ascending parameters, none with both more
  /// parameters and no smaller discrepancy than another of its structure.
  ///
  /// - Parameters:
  ///   - kernel: (out, in / groups, spatial...).
  ///   - norm: of the layer's errors, for a layer without groups; discrepancies are compared in it. Nil for the norm of the weights.
  ///   - seed: of the random starts.
  ///   - accepts: whether whoever writes the layer can express the stages of a structure.
  /// - Throws: `Failure` when the kernel has another shape than the layer or holds NaN or infinity.
  public func candidates(
    for kernel: Tensor<Double>, norm: FitNorm? = nil, convolution: Convolution, hasBias: Bool,
    seed: UInt64 = 0, accepts: @escaping (_ structure: String, [Stage]) -> Bool = { _, _ in true }
  ) throws -> [Candidate] {
    guard kernel.count > 0, convolution.batch == 1 else { return [] }
    let search = try PatternSearch(
      kernel, norm: norm, convolution: convolution, hasBias: hasBias, seed: seed,
      spectrumWork: Self.spectrumWork, accepts: accepts)
    var contest = Contest()
    return try structures.flatMap { structure in
      let curve =
        try structure.needsTrials
        ? climbedCurve(of: structure, search, &contest) : rankedCurve(of: structure, search, contest)
      let front = Self.front(try rounded(curve, of: structure, search).filter { $0.parameterCount < kernel.count })
      contest.add(front)
      return front
    }
  }

  private static func targets(_ count: Int, step: Double) -> [Int] {
    let ends = (Double(count) * range.lowerBound, Double(count) * range.upperBound)
    return sequence(first: ends.1) { $0 / step }.prefix { $0 >= max(1, ends.0) }.map { Int($0) }
  }

  /// One search for each target; what has no outlook to win is not fitted.
  private func rankedCurve(
    of structure: any Structure, _ search: PatternSearch, _ contest: Contest
  ) throws -> [Candidate] {
    let groups = search.convolution.groups
    // Singular values cost the same for any number of ranks.
    let step = structure.startIsOptimal && search.isPlain ? Self.fineStep : Fitting.step
    // Near sizes give the same pattern.
    var seen: Set<FactorPattern> = []
    return try Self.targets(search.convolution.parameterCount, step: step).compactMap { target in
      guard let pattern = try search.promising(structure, parameters: target, effort: .sweep).first?.pattern,
        seen.insert(pattern).inserted
      else { return nil }
      let outlook = try structure.outlook(search.spectra, pattern).squareRoot()
      guard groups > 1 || outlook < contest.discrepancy(at: pattern.parameterCount) else { return nil }
      return try search.candidate(pattern, of: structure, effort: .sweep)
    }
  }

  /// Searches at the anchors; from each that can still win, the ladder up to the most parameters that are worth while.
  private func climbedCurve(
    of structure: any Structure, _ search: PatternSearch, _ contest: inout Contest
  ) throws -> [Candidate] {
    let (count, groups) = (search.convolution.parameterCount, search.convolution.groups)
    // Close to the dense size the ranks of a large kernel are beyond its modes, and so are the equations: nobody wants that.
    var end = (count > Self.largeKernel ? 0.6 : Self.range.upperBound) * Double(count)
    var curve: [Candidate] = []
    for anchor in Self.anchors {
      guard
        let promise = try search.promising(structure, parameters: Int(anchor * Double(count)), effort: .sweep).first,
        contest.isOpen(to: promise, at: anchor),
        let top = promise.pattern.scaled(toParameters: Int(end) / groups)
      else { continue }
      curve += try search.curve(top, of: structure)
      // The smaller anchor's ladder ends where the larger one's parameters begin.
      end = Double(promise.pattern.parameterCount * groups)
    }
    return curve
  }

  /// The candidates again with ranks that are multiples, each fitted anew.
  private func rounded(_ curve: [Candidate], of structure: any Structure, _ search: PatternSearch) throws -> [Candidate]
  {
    guard rankMultiple > 1 else { return curve }
    var seen: Set<FactorPattern> = []
    return try curve.compactMap { candidate in
      guard let pattern = candidate.pattern.rounded(to: rankMultiple), seen.insert(pattern).inserted else { return nil }
      return try search.candidate(pattern, of: structure, effort: .sweep)
    }
  }

  /// What nothing dominates.
  private static func front(_ candidates: [Candidate]) -> [Candidate] {
    var front: [Candidate] = []
    let order = candidates.sorted {
      ($0.parameterCount, $0.outputDiscrepancy) < ($1.parameterCount, $1.outputDiscrepancy)
    }
    for candidate in order {
      // A gain below the fit's own precision is none.
      if let last = front.last, candidate.outputDiscrepancy >= last.outputDiscrepancy - 1e-9 { continue }
      front.append(candidate)
    }
    return front
  }
}

/// What a structure has to beat, so that only fits are made that can still win.
private struct Contest {
  private var candidates: [Candidate] = []
  private var best: [Double: Double] = [:]
  private var essences: Set<FactorPattern.Essence> = []
  /// What is behind by less than this after the trial may still win.
  private static let margin = 1.01

  mutating func add(_ front: [Candidate]) { candidates += front }

  /// The least discrepancy of at most this many parameters so far.
  func discrepancy(at parameters: Int) -> Double {
    candidates.filter { $0.parameterCount <= parameters }.map(\.discrepancy).min() ?? .infinity
  }

  /// Whether a pattern is new and its trial close to the best trial at the same anchor.
  mutating func isOpen(to promise: PatternSearch.Promise, at anchor: Double) -> Bool {
    guard essences.insert(promise.pattern.essence).inserted else { return false }
    let isClose = promise.discrepancy <= Self.margin * (best[anchor] ?? .infinity)
    best[anchor] = min(promise.discrepancy, best[anchor] ?? .infinity)
    return isClose
  }
}

import Basics
import ModelGraph
import TensorCore

/// How hard a search looks for a structure's best pattern.
public struct SearchEffort: Sendable {
  /// Proposals that are tried.
  public var proposals: Int
  /// How often the search moves to a better neighbour.
  public var moves: Int
  /// How many neighbours are tried each time.
  public var neighbours: Int
  /// The best of those tried that are fitted in earnest.
  public var finalists: Int
  /// The multiply-accumulates of all trials, behind the first one.
  public var trialWork: Double
  /// How much work the fits of the best are.
  public var fit: FitEffort

  /// The effort for the curves of all layers of a network.
  public static let sweep = SearchEffort(
    proposals: 5, moves: 1, neighbours: 4, finalists: 1, trialWork: 1e10, fit: .sweep)
  /// The effort for one layer that somebody waits for.
  public static let thorough = SearchEffort(
    proposals: 24, moves: 6, neighbours: 24, finalists: 6, trialWork: 1e12, fit: .final)
}

/// Finds the pattern of a structure that reaches the least discrepancy for one layer within a number of parameters.
///
/// Where spectra rank a structure's proposals, the best are fitted. Else proposals are tried with a few sweeps, then the neighbours
/// of the best, as long as that helps; the best of all are fitted in earnest.
public struct PatternSearch {
  /// The layer without its weights.
  public let convolution: Convolution
  /// Whether the stages add the layer's bias.
  public let hasBias: Bool
  /// Whether whoever writes the layer can express the stages of a structure.
  public let accepts: (_ structure: String, [Stage]) -> Bool
  private let kernel: Tensor<Double>
  /// One for each of the layer's groups.
  private let blocks: [Fitting]
  /// The group with the largest norm stands for all where patterns are compared.
  private let leading: Fitting
  let spectra: KernelSpectra
  private let answers = Answers()

  /// A search for one layer.
  ///
  /// - Parameters:
  ///   - kernel: (out, in / groups, spatial...).
  ///   - norm: of the layer's errors, for a layer without groups; nil for the norm of the weights.
  ///   - spectrumWork: see `KernelSpectra`.
  /// - Throws: `Failure` when the kernel has another shape than the layer or holds NaN or infinity.
  public init(
    _ kernel: Tensor<Double>, norm: FitNorm? = nil, convolution: Convolution, hasBias: Bool = false,
    seed: UInt64 = 0, spectrumWork: Double = .infinity,
    accepts: @escaping (_ structure: String, [Stage]) -> Bool = { _, _ in true }
  ) throws {
    self.kernel = kernel
    self.convolution = convolution
    self.hasBias = hasBias
    self.accepts = accepts
    blocks = try kernel.groupBlocks(convolution.groups, shape: convolution.kernelShapePerGroup)
      .map { Fitting(try FitObjective($0, norm: norm), seed: seed) }
    leading = blocks.max { $0.objective.norm < $1.objective.norm }.required("a layer has a group")
    spectra = KernelSpectra(leading.objective.kernel, workLimit: spectrumWork)
  }

  /// The best candidate with at most this many parameters; nil where the structure has none.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func best(
    of structure: any Structure, parameters: Int, effort: SearchEffort = .thorough
  ) throws -> Candidate? {
    let fitted = try promising(structure, parameters: parameters, effort: effort)
      .compactMap { try candidate($0.pattern, of: structure, effort: effort.fit) }
    return fitted.min { $0.outputDiscrepancy < $1.outputDiscrepancy }
  }

  /// The stages of the most promising pattern, which need no fit; nil where the structure has none.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func stages(_ structure: any Structure, parameters: Int) throws -> [Stage]? {
    try promising(structure, parameters: parameters, effort: .sweep).first
      .flatMap { candidate(structure, $0.pattern, discrepancy: 0, note: "")?.stages }
  }

  /// The stages of some of the structure's proposals that can run, without a look at how good they are.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func samples(of structure: any Structure, parameters: Int, count: Int) throws -> [[Stage]] {
    try structure.proposals(spectra, parameters: parameters / blocks.count).lazy
      .compactMap { candidate(structure, $0, discrepancy: 0, note: "")?.stages }
      .filter { accepts(structure.name, $0) }
      .prefix(count).map(\.self)
  }

  /// A pattern with the discrepancy of its trial, 0 where it needed none.
  typealias Promise = (pattern: FactorPattern, discrepancy: Double)

  /// The patterns that are worth fitting in earnest, the most promising first.
  func promising(_ structure: any Structure, parameters: Int, effort: SearchEffort) throws -> [Promise] {
    let perGroup = parameters / blocks.count
    let all = try structure.proposals(spectra, parameters: perGroup)
    if structure.startIsOptimal { return runnable(all, structure, atMost: 1).map { ($0, 0) } }
    guard structure.needsTrials else {
      return runnable(all, structure, atMost: effort.finalists).map { ($0, 0) }
    }
    var tried: [FactorPattern: Double] = [:]
    var work = 0.0
    func attempt(_ pattern: FactorPattern) throws {
      guard tried[pattern] == nil, tried.isEmpty || work + leading.trialWork(pattern) <= effort.trialWork else {
        return
      }
      work += leading.trialWork(pattern)
      tried[pattern] = try trial(pattern, structure)
    }
    for pattern in runnable(all, structure, atMost: effort.proposals) { try attempt(pattern) }
    for _ in 0..<effort.moves {
      guard let best = ranked(tried).first else { break }
      let fresh = structure.neighbours(of: best.pattern, parameters: perGroup).filter { tried[$0] == nil }
      for pattern in runnable(fresh, structure, atMost: effort.neighbours) { try attempt(pattern) }
      guard let next = ranked(tried).first, next.discrepancy < best.discrepancy else { break }
    }
    let best = Array(ranked(tried).prefix(effort.finalists))
    guard effort.finalists > 1 else { return best }
    let seeds = try structure.seeds(spectra, parameters: perGroup).filter { seed in
      isRunnable(seed, structure) && !best.contains { $0.pattern == seed }
    }
    return best + seeds.map { ($0, tried[$0] ?? .infinity) }
  }

  /// Whether fits are in the norm of the weights.
  var isPlain: Bool { leading.objective.isPlain }

  /// Whether they are in that of whole input patches: too much work to be done again.
  private var hasMetric: Bool { leading.objective.metric != nil }

  /// A pattern fitted to all groups; nil where the layer's window cannot be divided among its factors.
  func candidate(
    _ pattern: FactorPattern, of structure: any Structure, effort: FitEffort
  ) throws -> Candidate? {
    if structure.startIsOptimal, blocks.count == 1, isPlain {
      let tail = try spectra.tail(leading: pattern.shapes[0], rank: pattern.ranks[0])
      return self.candidate(structure, pattern, discrepancy: tail.squareRoot(), note: "")
    }
    let fits = try blocks.map { try $0.fit(pattern, of: structure, effort: effort) }
    return candidate(pattern, of: structure, fits)
  }

  /// The candidates of a pattern and of the smaller ones from which its fit climbs.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func curve(_ pattern: FactorPattern, of structure: any Structure) throws -> [Candidate] {
    let climbs = try blocks.map { try $0.climb(to: pattern) }
    return climbs[0].indices.compactMap { step in
      candidate(climbs[0][step].factorization.pattern, of: structure, climbs.map { $0[step] })
    }
  }

  private func candidate(_ pattern: FactorPattern, of structure: any Structure, _ fits: [Fit]) -> Candidate? {
    let discrepancy = kernel.pooled(zip(blocks, fits).map { $0.objective.kernel.norm * $1.kernelDiscrepancy })
    let open = fits.filter { !$0.converged }.map(\.sweeps).max()
    let note = open.map { "the fit was stopped after \($0) sweeps, still improving; apply goes on from there" }
    return self.candidate(
      structure, pattern, discrepancy: discrepancy, outputDiscrepancy: isPlain ? nil : fits[0].discrepancy,
      factorizations: hasMetric ? fits.map(\.factorization) : nil, note: note ?? "")
  }

  private func candidate(
    _ structure: any Structure, _ pattern: FactorPattern, discrepancy: Double, outputDiscrepancy: Double? = nil,
    factorizations: [Factorization]? = nil, note: String
  ) -> Candidate? {
    guard discrepancy.isFinite, outputDiscrepancy?.isFinite ?? true else { return nil }
    return Candidate(
      structure: structure.name, pattern, discrepancy: discrepancy, outputDiscrepancy: outputDiscrepancy,
      factorizations: factorizations, note: note,
      convolution: convolution, hasBias: hasBias)
  }

  private func trial(_ pattern: FactorPattern, _ structure: any Structure) throws -> Double {
    try leading.fit(pattern, of: structure, effort: .trial).discrepancy
  }

  /// What was tried, by discrepancy; among equals by fewer parameters, then in a fixed order.
  private func ranked(_ tried: [FactorPattern: Double]) -> [Promise] {
    tried.sorted {
      ($0.value, $0.key.parameterCount, "\($0.key)") < ($1.value, $1.key.parameterCount, "\($1.key)")
    }.map { ($0.key, $0.value) }
  }

  /// Whether the layer's window can be divided among the factors and the writer has layers for the stages.
  private func isRunnable(_ pattern: FactorPattern, _ structure: any Structure) -> Bool {
    answers.answer(for: pattern, of: structure.name) {
      candidate(structure, pattern, discrepancy: 0, note: "").map { accepts($0.structure, $0.stages) } ?? false
    }
  }

  /// The first patterns that can run, in their order; no more are looked at than that takes.
  private func runnable(
    _ patterns: [FactorPattern], _ structure: any Structure, atMost count: Int
  ) -> [FactorPattern] {
    var found: [FactorPattern] = []
    for pattern in patterns {
      guard found.count < count else { break }
      if isRunnable(pattern, structure) { found.append(pattern) }
    }
    return found
  }
}

/// What a search knows of patterns already: searches for near sizes come upon the same ones.
private final class Answers {
  private var known: [String: [FactorPattern: Bool]] = [:]

  func answer(for pattern: FactorPattern, of structure: String, _ find: () -> Bool) -> Bool {
    if let answer = known[structure]?[pattern] { return answer }
    let answer = find()
    known[structure, default: [:]][pattern] = answer
    return answer
  }
}

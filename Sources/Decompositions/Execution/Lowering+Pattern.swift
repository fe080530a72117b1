import Basics
import TensorCore

/// The one lowering of all structures.
///
/// While a layer computes, its state has the input digits of the factors that have not run, the output digits of those that have,
/// and the ranks between the two. Running factor k turns the state's axes into
///
///     batch (what the factor does not have)  x  groups (ranks that are needed again)  x  inputs (what it sums over)
///
/// and these into batch x groups x outputs: a convolution, grouped and batched, whatever the structure. This is SeKron's
/// projection (papers, section 1) for any pattern and in any order of the factors.
extension Lowering {
  /// The cheapest order of the factors, by multiply-accumulates and by the elements that permutations move.
  ///
  /// - Parameter groups: the groups of the layer.
  public init(_ pattern: FactorPattern, groups: Int = 1) {
    var best: LoweringState?
    // The papers' order, the least significant factor first, comes first and wins among equals.
    func extend(_ state: LoweringState, _ rest: [Int]) {
      guard state.effort < best?.effort ?? .max else { return }
      if rest.isEmpty {
        var finished = state
        finished.finish()
        if finished.effort < best?.effort ?? .max { best = finished }
      }
      for factor in rest {
        var next = state
        let later = rest.filter { $0 != factor }
        next.run(factor, then: later)
        extend(next, later)
      }
    }
    extend(LoweringState(pattern, groups: groups), pattern.shapes.indices.reversed())
    self.init(pattern: pattern, groups: groups, steps: best.required("one order of the factors is the cheapest").steps)
  }

  /// The steps of a pattern whose factors run in this order.
  ///
  /// - Parameter order: the factors in the order in which they run.
  public init(_ pattern: FactorPattern, groups: Int = 1, order: [Int]) {
    precondition(order.sorted() == Array(pattern.shapes.indices), "\(order) does not run every factor once")
    var state = LoweringState(pattern, groups: groups)
    for (position, factor) in order.enumerated() {
      state.run(factor, then: Array(order[(position + 1)...]))
    }
    state.finish()
    self.init(pattern: pattern, groups: groups, steps: state.steps)
  }
}

/// The channel axes of a layer while its factors run, outermost first.
private struct LoweringState {
  private enum Axis: Hashable {
    /// The layer's own groups: an axis of every factor.
    case group
    case input(Int)
    case output(Int)
    case rank(Int)
  }

  private enum Role: Int { case batch, group, input }

  private let pattern: FactorPattern
  private let groups: Int
  private var axes: [Axis]
  private(set) var steps: [Lowering.Step] = []
  /// Multiply-accumulates per position, and what else takes time: a moved element costs about as much as eight of them, and a
  /// convolution of many small groups runs at a fraction of the speed of a full one.
  private(set) var effort = 0

  init(_ pattern: FactorPattern, groups: Int) {
    self.pattern = pattern
    self.groups = groups
    axes = [.group] + pattern.shapes.indices.map { .input($0) }
  }

  private func extent(_ axis: Axis) -> Int {
    switch axis {
    case .group: groups
    case .input(let k): pattern.shapes[k][1]
    case .output(let k): pattern.shapes[k][0]
    case .rank(let r): pattern.ranks[r]
    }
  }

  private func extent(_ axes: [Axis]) -> Int { axes.reduce(1) { $0 * extent($1) } }

  private func role(_ axis: Axis, of factor: Int, then later: [Int]) -> Role {
    switch axis {
    case .group: .group
    case .input(let k): k == factor ? .input : .batch
    case .output: .batch
    case .rank(let r):
      if !pattern.rankAxes[factor].contains(r) {
        .batch
      } else if later.contains(where: { pattern.rankAxes[$0].contains(r) }) {
        .group
      } else {
        .input
      }
    }
  }

  mutating func run(_ factor: Int, then later: [Int]) {
    let roles = Dictionary(uniqueKeysWithValues: axes.map { ($0, role($0, of: factor, then: later)) })
    let batch = axes.filter { roles[$0] == .batch }
    // Behind each other, the layer's groups come first.
    let grouped =
      axes.filter { roles[$0] == .group && $0 == .group } + axes.filter { roles[$0] == .group && $0 != .group }
    let inputs = axes.filter { roles[$0] == .input }
    arrange(batch + grouped + inputs)

    let present = Set(axes)
    var outputs: [Axis] = [.output(factor)]
    outputs += pattern.rankAxes[factor].map { .rank($0) }.filter { !present.contains($0) }
    // Ranks that go on behind those that the next factors sum over: that saves permutations most of the time.
    if let next = later.first {
      let wanted = outputs.map { role($0, of: next, then: Array(later.dropFirst())).rawValue }
      outputs = outputs.indices.sorted { (wanted[$0], $0) < (wanted[$1], $1) }.map { outputs[$0] }
    }
    let spatial = Array(pattern.shapes[factor].dropFirst(2))
    let position: (Axis) -> Int? = { axis in
      switch axis {
      case .group: nil
      case .output: 0
      case .input: 1
      case .rank(let r): pattern.rankAxes[factor].firstIndex(of: r).map { $0 + 2 + spatial.count }
      }
    }
    let significance = spatial.indices.map { axis in
      pattern.shapes[(factor + 1)...].reduce(1) { $0 * $1[axis + 2] }
    }
    steps.append(
      .convolution(
        Lowering.FactorConvolution(
          factor: factor, kernelShape: [extent(grouped) * extent(outputs), extent(inputs)] + spatial,
          groups: extent(grouped), batch: extent(batch),
          order: (grouped + outputs + inputs).compactMap(position) + spatial.indices.map { $0 + 2 },
          significance: significance)))
    let isSlow = extent(grouped) > 1 && extent(inputs) > 1
    effort += extent(batch + grouped + outputs + inputs) * spatial.reduce(1, *) * (isSlow ? 4 : 1)
    axes = batch + grouped + outputs
  }

  mutating func finish() {
    arrange([.group] + pattern.shapes.indices.map { .output($0) })
  }

  /// Permutes the state where that moves anything.
  private mutating func arrange(_ wanted: [Axis]) {
    defer { axes = wanted }
    let current = axes.filter { extent($0) > 1 }
    let target = wanted.filter { extent($0) > 1 }
    guard current != target else { return }
    // Axes that stay neighbours move as one.
    var blocks: [[Axis]] = []
    for axis in target {
      if let last = blocks.last?.last, let place = current.firstIndex(of: last), place + 1 < current.count,
        current[place + 1] == axis
      {
        blocks[blocks.count - 1].append(axis)
      } else {
        blocks.append([axis])
      }
    }
    func place(_ block: [Axis]) -> Int { current.firstIndex(of: block[0]).required("no axis appears or goes away") }
    let sources = blocks.sorted { place($0) < place($1) }
    effort += 8 * extent(wanted)
    steps.append(
      .permutation(
        axes: sources.map(extent),
        order: blocks.map { sources.firstIndex(of: $0).required("the blocks are those of the sources") }))
  }
}

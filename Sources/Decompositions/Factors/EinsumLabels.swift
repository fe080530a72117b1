import TensorCore

/// The labels of a pattern's einsums: label k is the mode of factor k, behind them come the ranks, behind those the ranks a
/// second time, for Gram matrices, and last, for norms over the input patch, each factor's own part of it, twice.
struct EinsumLabels {
  let pattern: FactorPattern

  init(_ pattern: FactorPattern) { self.pattern = pattern }

  /// - Parameter patches: whether factor modes are split into output and patch, see `split`.
  func extents(splitting patches: Bool = false) -> [Int] {
    let modes = pattern.shapes.indices.map { patches ? pattern.shapes[$0][0] : pattern.modeCount($0) }
    let patch = patches ? pattern.shapes.indices.map { pattern.modeCount($0) / max(1, pattern.shapes[$0][0]) } : []
    return modes + pattern.ranks + pattern.ranks + patch + patch
  }

  func factor(_ k: Int) -> [Int] { [k] + ranks(k) }
  func ranks(_ k: Int) -> [Int] { pattern.rankAxes[k].map { pattern.factorCount + $0 } }
  /// Factor k with the second set of ranks.
  func twin(_ k: Int) -> [Int] { [k] + ranks(k).map(twin(ofRank:)) }
  func twin(ofRank label: Int) -> Int { label + pattern.ranks.count }

  /// Factor k's part of the patch (in, spatial...); its own mode is then its output channels alone.
  func patch(_ k: Int) -> Int { pattern.factorCount + 2 * pattern.ranks.count + k }
  func twin(ofPatch label: Int) -> Int { label + pattern.factorCount }
  /// Factor k as (out, patch, ranks...).
  func split(_ k: Int) -> [Int] { [k, patch(k)] + ranks(k) }
  func splitTwin(_ k: Int) -> [Int] { [k, twin(ofPatch: patch(k))] + ranks(k).map(twin(ofRank:)) }
}

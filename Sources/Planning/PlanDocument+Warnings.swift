import Plans

extension PlanDocument {
  /// What a kernel may lose before it is said: beyond it next to nothing of the kernel is left.
  private static let lostDiscrepancy = 0.9

  /// A warning of the layers of whose kernels a plan leaves next to nothing.
  var lostLayers: [String] {
    let lost = layers.filter { $0.form != .dense && $0.discrepancy > Self.lostDiscrepancy }.map(\.name)
    guard !lost.isEmpty else { return [] }
    let names = lost.prefix(6).joined(separator: "', '") + (lost.count > 6 ? "' and others" : "'")
    return [
      "next to nothing is left of the kernels of '\(names) (discrepancy above \(Self.lostDiscrepancy)): --keep leaves layers as they are"
    ]
  }
}

/// Shapes of factors that own whole modes.
enum ModeGroups {
  /// For each group of modes, the shape of the factor that has them.
  static func shapes(_ groups: [[Int]], of kernelShape: [Int]) -> [[Int]] {
    groups.map { group in kernelShape.indices.map { group.contains($0) ? kernelShape[$0] : 1 } }
  }

  /// The modes with an extent above 1, the spatial ones as one group.
  static func merged(_ kernelShape: [Int]) -> [[Int]] {
    let spatial = (2..<max(2, kernelShape.count)).filter { kernelShape[$0] > 1 }
    return [[0], [1], spatial].filter { group in group.contains { kernelShape[$0] > 1 } }
  }

  /// The modes with an extent above 1, each by itself.
  static func separate(_ kernelShape: [Int]) -> [[Int]] {
    kernelShape.indices.filter { kernelShape[$0] > 1 }.map { [$0] }
  }

  /// Both, once where they are the same.
  static func all(_ kernelShape: [Int]) -> [[[Int]]] {
    let (merged, separate) = (merged(kernelShape), separate(kernelShape))
    return merged == separate ? [merged] : [merged, separate]
  }

  /// Whether every mode belongs to one factor entirely.
  static func areWhole(_ shapes: [[Int]]) -> Bool {
    shapes[0].indices.allSatisfy { mode in shapes.count { $0[mode] > 1 } <= 1 }
  }
}

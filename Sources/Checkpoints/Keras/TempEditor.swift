import ModelGraph
struct KerasEditor { init(_ f: KerasFile, layers: [Layer]) {}
 static func refusal(for stages: [Stage], layer: Layer, in f: KerasFile) -> String? { nil }
 func partNames(replacing: [Replacement]) throws -> [[String]] { [] } }

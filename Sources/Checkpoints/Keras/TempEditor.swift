import Basics
import ModelGraph
struct KerasEditor { let graph: KerasGraph
 init(_ graph: KerasGraph) { self.graph = graph }
 func refusal(of stages: [Stage], for layer: Layer) -> String? { nil }
 func replacing(_ r: [Replacement], record: JSON) throws -> KerasFile { graph.file.replacing(modelConfig: graph.file.modelConfig, layers: graph.file.layers, record: record) }
 func partNames(replacing: [Replacement]) throws -> [[String]] { [] } }

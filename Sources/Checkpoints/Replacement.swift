import ModelGraph
import TensorCore

/// A layer's new form: the stages that take its kernel's place, and how their weights are stored.
package struct Replacement: Sendable {
  /// The name under which records and plans state that a layer keeps its own kernel.
  package static let dense = "dense"

  /// The name of the `Layer`.
  package let layer: String
  /// The name of the structure that the stages come from; `dense` where the layer keeps its form and only stores its kernel otherwise.
  package let structure: String
  /// The stages that take the place of the layer.
  package let stages: [Stage]
  /// How the weights are stored.
  package let storage: WeightStorage
  /// One weight for every convolution among the stages, in their order, each of the convolution's `kernelShape`. The list is
  /// empty where only the size of the result matters.
  package var weights: [Tensor<Double>] { rounded.isEmpty ? plain : rounded.map(\.values) }
  private let plain: [Tensor<Double>]
  /// The same weights as integers; empty where they are stored as floating-point numbers.
  package let rounded: [RoundedTensor]

  /// Whether the layer keeps its form.
  package var isDense: Bool { structure == Self.dense }

  /// Makes a replacement whose weights are floating-point numbers, or whose size alone matters.
  package init(
    layer: String, structure: String = "", stages: [Stage], storage: WeightStorage = .float,
    weights: [Tensor<Double>] = []
  ) {
    precondition(storage == .float || weights.isEmpty, "integers come with their scales")
    self.layer = layer
    self.structure = structure
    self.stages = stages
    self.storage = storage
    plain = weights
    rounded = []
  }

  /// Makes a replacement whose weights are integers.
  ///
  /// - Precondition: all have one width.
  package init(layer: String, structure: String, stages: [Stage], rounded: [RoundedTensor]) {
    let storages = Set(rounded.map(\.storage))
    precondition(storages.count == 1, "\(storages.count) ways of storing in one layer")
    self.layer = layer
    self.structure = structure
    self.stages = stages
    storage = storages.first ?? .float
    plain = []
    self.rounded = rounded
  }

  /// The same with other floating-point weights, or with none where only the size of the result matters.
  package func with(weights: [Tensor<Double>]) -> Replacement {
    Replacement(layer: layer, structure: structure, stages: stages, storage: storage, weights: weights)
  }
}

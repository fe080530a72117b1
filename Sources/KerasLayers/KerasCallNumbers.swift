/// Which call of a layer a tensor of the configuration means.
///
/// A functional model begins with a node of its own, from its inputs to its outputs, before anybody calls it. Keras 1 and 2 count that
/// node wherever they name a tensor of such a model; Keras 3 counts it among the outputs, and not among what layers are applied to
/// (`Functional.get_config` and `serialize_node` there). A Sequential has such a node where it was built before it was called.
struct KerasCallNumbers {
  /// By layer, the number of its first call.
  private let inCalls: [String: Int]
  private let inOutputs: [String: Int]

  init(_ model: KerasModel) {
    let calls = model.layers.flatMap(\.calls)
    let isKeras3 = calls.contains(where: \.isKeras3)
    let fromCalls = calls.flatMap(\.tensors)
    let fromOutputs = model.outputs.leaves
    let models = model.layers.filter { $0.model != nil }
    func first(_ references: [KerasTensor]) -> [String: Int] {
      let numbers = Dictionary(grouping: references, by: \.layer).mapValues { $0.map(\.call) }
      return Dictionary(
        models.map { entry in
          let own = numbers[entry.name] ?? []
          // A number that the calls do not reach, and none for the node itself.
          let isCounted = entry.model?.isSequential == true ? own.contains { $0 >= entry.calls.count } : true
          return (entry.name, isCounted && !own.contains(0) ? 1 : 0)
        }
      ) { first, _ in first }
    }
    inOutputs = first(isKeras3 ? fromOutputs : fromOutputs + fromCalls)
    inCalls = isKeras3 ? [:] : inOutputs
  }

  /// The position among the layer's calls of the one that gives a tensor which a call names.
  func position(inCall tensor: KerasTensor) -> Int { tensor.call - (inCalls[tensor.layer] ?? 0) }

  /// The position among the layer's calls of the one that gives a tensor which the model's outputs name.
  func position(inOutputs tensor: KerasTensor) -> Int { tensor.call - (inOutputs[tensor.layer] ?? 0) }
}

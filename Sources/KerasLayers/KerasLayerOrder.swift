import Basics

/// The order in which Keras numbers the layers of a functional model, and with that the order of the weights in a file.
///
/// Keras fills a loaded model's layers from the file by their position, not by their names, and it finds the positions anew
/// from the wiring: the layers furthest from the outputs come first, and of those equally far the one that a walk from the
/// outputs sees first. A layer that becomes a chain moves others, so an edited file must be put in order again.
package struct KerasLayerOrder {
  /// One call of a layer.
  private struct Call: Hashable {
    let layer: String
    let index: Int
  }

  private let model: KerasModel
  /// What each call takes.
  private var inputs: [Call: [Call]] = [:]
  /// The calls, each after those whose results it takes.
  private var calls: [Call] = []
  /// When the walk saw a layer first.
  private var positions: [String: Int] = [:]

  private init(_ model: KerasModel) {
    self.model = model
    let numbers = KerasCallNumbers(model)
    for entry in model.layers {
      for (index, made) in entry.calls.enumerated() {
        inputs[Call(layer: entry.name, index: index)] = made.tensors.map {
          Call(layer: $0.layer, index: numbers.position(inCall: $0))
        }
      }
    }
    var finished: Set<Call> = []
    for output in model.outputs.leaves {
      walk(from: Call(layer: output.layer, index: numbers.position(inOutputs: output)), &finished)
    }
  }

  /// The names of all layers in Keras's order; layers that no output needs stand at the end.
  package static func names(of model: KerasModel) -> [String] {
    let order = KerasLayerOrder(model)
    var (callDepths, depths): ([Call: Int], [String: Int]) = ([:], [:])
    for call in order.calls.reversed() {
      let depth = max(callDepths[call] ?? 0, depths[call.layer] ?? 0)
      (callDepths[call], depths[call.layer]) = (depth, depth)
      for input in order.inputs[call] ?? [] { callDepths[input] = max(depth + 1, callDepths[input] ?? 0) }
    }
    var positions = order.positions
    for input in model.inputs.leaves where depths[input.layer] == nil {
      (depths[input.layer], positions[input.layer]) = (0, -1)
    }
    // Sorting is not stable by itself, and unused inputs share a position.
    return model.layers.enumerated().sorted { a, b in
      let (x, y) = (a.element.name, b.element.name)
      let (left, right) = (depths[x] ?? -1, depths[y] ?? -1)
      if left != right { return left > right }
      return (positions[x] ?? 0, a.offset) < (positions[y] ?? 0, b.offset)
    }.map(\.element.name)
  }

  /// Depth first, without recursion: a network may be deeper than the stack.
  private mutating func walk(from output: Call, _ finished: inout Set<Call>) {
    var path: [(call: Call, next: Int)] = []
    var inProgress: Set<Call> = []
    func isNew(_ call: Call) -> Bool { !finished.contains(call) && !inProgress.contains(call) }
    func enter(_ call: Call) {
      if positions[call.layer] == nil { positions[call.layer] = positions.count }
      inProgress.insert(call)
      path.append((call, 0))
    }
    if isNew(output) { enter(output) }
    while let (call, next) = path.last {
      let inputs = inputs[call] ?? []
      if next < inputs.count {
        path[path.count - 1].next += 1
        if isNew(inputs[next]) { enter(inputs[next]) }
      } else {
        path.removeLast()
        finished.insert(call)
        calls.append(call)
      }
    }
  }
}

import Basics
import ModelGraph

/// Recurrent layers, and two of them in opposite directions.
extension KerasLayerType {
  static let recurrent: [String: KerasLayerType] = [
    "LSTM": recurrence, "GRU": recurrence, "SimpleRNN": recurrence, "RNN": recurrence,
    "Bidirectional": KerasLayerType(
      weightNames: { layer in
        guard let (forward, backward) = layer.directions else { return nil }
        return forward.weightNames.inside("forward_layer", isFrozen: forward.isFrozen)
          + backward.weightNames.inside("backward_layer", isFrozen: backward.isFrozen)
      },
      layers: { layer in
        guard let (forward, backward) = layer.directions else { return [] }
        return try forward.kernels() + backward.kernels()
      },
      expansion: { use in try use.bidirectional() }),
  ]

  private static let recurrence = KerasLayerType(
    weightNames: { layer in (try? KerasRecurrence(layer))?.weightNames },
    layers: { layer in try KerasRecurrence(layer)?.kernels() ?? [] },
    expansion: { use in
      guard let recurrence = try KerasRecurrence(use.layer) else {
        throw use.layer.failure("cannot be run", "its cell is not one of Keras's own")
      }
      let (data, states) = try use.sequenceAndStates()
      let mask = try use.ownMask(2, of: data)
      let results = try recurrence.expanded(
        data, states: states, mask: mask, runsBackwards: use.layer.bool("go_backwards", default: false),
        zeroesMasked: use.layer.bool("zero_output_for_mask", default: false), &use)
      if recurrence.returnsSequences { use.setMask(mask, of: results[0]) }
      return results
    })
}

extension KerasRecurrence {
  fileprivate var isFrozen: Bool { !layer.entry.isTrainable }
}

extension KerasLayer {
  /// The two layers of a Bidirectional; nil where they are not Keras's own. The second one runs against the first unless the configuration
  /// states it.
  fileprivate var directions: (forward: KerasRecurrence, backward: KerasRecurrence)? {
    func recurrence(_ part: KerasLayer?, _ attribute: String) -> KerasRecurrence? {
      guard var part else { return nil }
      part.weights = weights(inside: attribute)
      return (try? KerasRecurrence(part)).flatMap { $0 }
    }
    guard let forward = part("layer"), let first = recurrence(forward, "forward_layer") else { return nil }
    guard value("backward_layer") == nil else {
      return recurrence(part("backward_layer"), "backward_layer").map { (first, $0) }
    }
    guard var json = value("layer")?.object, var config = json["config"]?.object else { return nil }
    config["go_backwards"] = .bool(!forward.bool("go_backwards", default: false))
    config["name"] = .string("backward_" + forward.entry.name)
    json["config"] = .object(config)
    json["name"] = nil
    return recurrence(object(.object(json)), "backward_layer").map { (first, $0) }
  }
}

extension KerasUse {
  /// The sequence that a recurrent layer is applied to, and its initial states: Keras 2 puts both in one list.
  fileprivate func sequenceAndStates() throws -> (data: String, states: [String]) {
    func values(_ argument: Arguments?) throws -> [String] {
      try (argument?.leaves ?? []).compactMap { leaf in
        switch leaf {
        case .value(let value): return value
        case .constant(let json) where json.isNull: return nil
        case .constant: throw layer.failure("cannot be run", "one of its arguments is no tensor")
        }
      }
    }
    let inputs = try values(arguments.first)
    guard let data = inputs.first else { throw layer.withoutInput }
    return (data, Array(inputs.dropFirst()) + (try values(argument(1, "initial_state"))))
  }

  fileprivate mutating func bidirectional() throws -> [String] {
    guard let (forward, backward) = layer.directions else {
      throw layer.failure("cannot be run", "its layers are not Keras's own recurrent layers")
    }
    let (data, states) = try sequenceAndStates()
    let mask = try ownMask(2, of: data)
    guard states.count % 2 == 0 else {
      throw layer.failure("cannot be run", "it is given \(states.count) initial states")
    }
    func run(_ recurrence: KerasRecurrence, _ states: ArraySlice<String>) throws -> [String] {
      try recurrence.expanded(
        data, states: Array(states), mask: mask,
        runsBackwards: recurrence.layer.bool("go_backwards", default: false),
        // Whatever the layers say.
        zeroesMasked: recurrence.returnsSequences, &self)
    }
    let ahead = try run(forward, states.prefix(states.count / 2))
    var back = try run(backward, states.suffix(states.count / 2))
    if forward.returnsSequences { back[0] = reversed(back[0], axis: 1) }
    let finals = Array(ahead.dropFirst() + back.dropFirst())
    let (first, second) = (ahead[0], back[0])
    let merged: String
    switch layer.config["merge_mode"] {
    case .null?:
      if forward.returnsSequences {
        setMask(mask, of: first)
        setMask(mask, of: second)
      }
      return [first, second] + finals
    case .string("concat")?, nil: merged = append(.concatenate(axis: -1), [first, second])
    case .string("sum")?: merged = elementwise(.add, first, second)
    case .string("mul")?: merged = elementwise(.multiply, first, second)
    case .string("ave")?: merged = elementwise(.mean, first, second)
    case let mode?: throw layer.failure("cannot be run", "its merge_mode is \(mode.text())")
    }
    if forward.returnsSequences { setMask(mask, of: merged) }
    return [merged] + finals
  }
}

import Basics
import ModelGraph
import TensorCore

/// One recurrent cell as the configuration of an LSTM, GRU or SimpleRNN layer, or of a cell of these, describes it.
struct KerasCell {
  let kind: RecurrentLayer.Kind
  let units: Int
  /// The configuration that has the cell's settings.
  let settings: KerasLayer
  /// What stands in front of the names of the weights.
  let scope: String

  /// - Returns: nil for a class that is no such layer or cell.
  init?(_ layer: KerasLayer, scope: String) throws {
    switch layer.entry.className {
    case "LSTM", "LSTMCell": kind = .lstm
    case "GRU", "GRUCell": kind = .gru
    case "SimpleRNN", "SimpleRNNCell": kind = .rnn
    default: return nil
    }
    settings = layer
    self.scope = scope
    units = try layer.integer("units")
  }

  var weightNames: KerasWeightNames {
    KerasWeightNames(trainable: (["kernel", "recurrent_kernel"] + settings.biasName).map { scope + $0 })
  }

  /// An LSTM's states are its output and its cell.
  var stateCount: Int { kind == .lstm ? 2 : 1 }

  /// Whether a GRU's reset gate acts after the product; what Keras 2.0 to 2.3 wrote says so only if it does.
  private var resetsAfter: Bool { settings.bool("reset_after", default: false) }

  private func activation(_ key: String) throws -> Activation {
    let activation = try settings.activation(key)
    switch activation {
    case .softmax, .logSoftmax, .sparsemax, .glu:
      throw settings.failure("cannot be run", "the '\(key)' of a cell works on whole vectors")
    default: return activation
    }
  }

  /// The operation that runs the cell over a sequence of (steps, batch, features).
  ///
  /// - Parameter layer: Has the weights.
  func operation(
    of layer: KerasLayer, isReversed: Bool, hasInitialState: Bool, mask: RecurrentLayer.Mask?,
    _ result: RecurrentLayer.Result
  ) throws -> ArrayOperation {
    let rows = kind.gateCount * units
    func weights(_ name: String, _ columns: Int?) throws -> TensorReference {
      let stored = try layer.weight(scope + name, [columns, rows])
      return TensorReference(stored.name, permutation: [1, 0], shape: [1, rows, stored.shape[0]])
    }
    let hasTwoBiases = kind == .gru && resetsAfter
    let bias = try layer.reference(
      scope + "bias", hasTwoBiases ? [2, rows] : [rows], if: !settings.biasName.isEmpty)
    let candidate = try activation("activation")
    return .recurrent(
      RecurrentLayer(
        kind: kind, hiddenCount: units, directions: [isReversed], inputWeights: try weights("kernel", nil),
        hiddenWeights: try weights("recurrent_kernel", units),
        bias: bias.map { TensorReference($0.name, shape: [hasTwoBiases ? 2 * rows : rows]) },
        resetsAfterProduct: kind == .gru && resetsAfter, hasInitialState: hasInitialState, result: result,
        activations: RecurrentLayer.Activations(
          gate: kind == .rnn ? .sigmoid : try activation("recurrent_activation"), candidate: candidate,
          output: candidate),
        gateOrder: .inputForgetCandidateOutput, mask: mask))
  }

  func kernels(of layer: KerasLayer, reason: String) throws -> [Layer] {
    try ["kernel", "recurrent_kernel"].map { name in
      let stored = try layer.weight(scope + name, [nil, kind.gateCount * units])
      return layer.matrix(layer.path + "/" + scope + name, stored, reason: reason)
    }
  }
}

/// A layer that runs cells over a sequence, one on top of the other at every step, which is the same as one after the other over the whole sequence.
struct KerasRecurrence {
  let layer: KerasLayer
  let cells: [KerasCell]

  /// - Returns: nil for cells that are not Keras's own.
  init?(_ layer: KerasLayer) throws {
    self.layer = layer
    guard layer.entry.className == "RNN" else {
      guard let cell = try KerasCell(layer, scope: "cell/") else { return nil }
      cells = [cell]
      return
    }
    guard let cell = layer.part("cell") else { return nil }
    guard cell.entry.className == "StackedRNNCells" else {
      guard let cell = try KerasCell(cell, scope: "cell/") else { return nil }
      cells = [cell]
      return
    }
    let stacked = cell.value("cells")?.array ?? []
    // Keras 3 files know a cell by its class and its number among the cells of that class.
    var counts: [String: Int] = [:]
    let found = try stacked.compactMap { json -> KerasCell? in
      guard let inner = cell.object(json) else { return nil }
      let base = KerasGroupNames.snakeCase(inner.entry.className)
      defer { counts[base, default: 0] += 1 }
      return try KerasCell(inner, scope: "cell/cells/\(KerasGroupNames.group(base, counts[base] ?? 0))/")
    }
    guard found.count == stacked.count, !found.isEmpty else { return nil }
    cells = found
  }

  var weightNames: KerasWeightNames { cells.map(\.weightNames).reduce(KerasWeightNames(), +) }

  func kernels() throws -> [Layer] {
    try cells.flatMap { try $0.kernels(of: layer, reason: "Keras keeps it inside its recurrent layer") }
  }

  var returnsSequences: Bool { layer.bool("return_sequences", default: false) }
  var returnsState: Bool { layer.bool("return_state", default: false) }

  /// Adds the nodes that run the cells.
  ///
  /// - Parameters:
  ///   - data: (batch, steps, features).
  ///   - states: The initial states of all cells, (batch, units) each; empty for zeros.
  ///   - runsBackwards: Whether the first step is the last of the sequence. The result begins with what was computed first.
  ///   - zeroesMasked: Whether the output of a step that does not count is zeros, and not that of the step before.
  /// - Returns: The output, then, where the layer returns them, the states.
  func expanded(
    _ data: String, states: [String], mask: String?, runsBackwards: Bool, zeroesMasked: Bool, _ use: inout KerasUse
  ) throws -> [String] {
    guard !layer.bool("stateful", default: false) else {
      throw layer.failure("cannot be run", "it is stateful: what it gives depends on the samples before")
    }
    guard !layer.bool("time_major", default: false) else {
      throw layer.failure("cannot be run", "its steps come before its samples")
    }
    guard states.isEmpty || states.count == cells.map(\.stateCount).reduce(0, +) else {
      throw layer.failure("cannot be run", "it is given \(states.count) initial states")
    }
    guard try use.rank(of: data) == 3 else {
      throw layer.failure("cannot be run", "its input is no sequence of vectors")
    }
    var sequence = use.transpose(data, [1, 0, 2])
    let turnedMask = try mask.map { mask in
      guard try use.rank(of: mask) == 2 else {
        throw layer.failure("cannot be run", "its mask has another rank than 2")
      }
      return use.transpose(mask, [1, 0])
    }
    var rest = states[...]
    var finals: [String] = []
    var last = ""
    for (index, cell) in cells.enumerated() {
      let initial = rest.prefix(cell.stateCount)
      rest = rest.dropFirst(cell.stateCount)
      let inputs = [sequence] + (turnedMask.map { [$0] } ?? []) + initial.map { use.expand($0, axes: [0]) }
      let isLast = index == cells.count - 1
      let kind: RecurrentLayer.Mask? =
        turnedMask == nil
        ? nil : isLast && zeroesMasked ? .zeroesOutput : .keepsOutput
      func run(_ result: RecurrentLayer.Result) throws -> String {
        use.append(
          try cell.operation(
            of: layer, isReversed: runsBackwards, hasInitialState: !initial.isEmpty, mask: kind, result), inputs)
      }
      // Without a mask the last output is the last state.
      let needsSequence = !isLast || returnsSequences || turnedMask != nil
      if needsSequence { sequence = use.squeeze(try run(.sequence), axes: [1]) }
      if returnsState || (isLast && !needsSequence) {
        let hidden = use.squeeze(try run(.hidden), axes: [0])
        if isLast { last = hidden }
        if returnsState {
          finals.append(hidden)
          if cell.stateCount == 2 { finals.append(use.squeeze(try run(.cell), axes: [0])) }
        }
      }
    }
    let output: String
    if returnsSequences {
      let turned = use.transpose(sequence, [1, 0, 2])
      output = runsBackwards ? use.reversed(turned, axis: 1) : turned
    } else {
      output = turnedMask == nil ? last : use.entry(runsBackwards ? 0 : -1, of: sequence, axis: 0)
    }
    return [output] + finals
  }
}

extension KerasLayer {
  /// A layer or cell that the configuration holds under a key; nil where there is none, or a model.
  func part(_ key: String) -> KerasLayer? { value(key).flatMap(object) }

  /// A serialised layer or cell inside this one.
  func object(_ json: JSON) -> KerasLayer? {
    guard let entry = try? KerasEntry(json, prefix: path + "/"), entry.model == nil else { return nil }
    return KerasLayer(entry: entry, majorVersion: majorVersion)
  }

  /// The weights that go by an attribute of the layer, under the names that the part itself gives them.
  func weights(inside attribute: String) -> [String: StoredTensor] {
    let own = weights.filter { $0.key.hasPrefix(attribute + "/") }
    return Dictionary(uniqueKeysWithValues: own.map { (String($0.key.dropFirst(attribute.count + 1)), $0.value) })
  }
}

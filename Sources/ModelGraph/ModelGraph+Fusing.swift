/// Who runs a network.
public enum Runner: Sendable {
  /// This program's engine, which finishes the output of every convolution.
  case engine
  /// A runtime that reads a written file. Files write a weight that is shared over blocks of channels between two reshapings, and
  /// these keep apart what follows.
  case file
}

extension ModelGraph {
  /// The nodes that run as the end of the one before them and take no time of their own: what follows element by element on a
  /// convolution, a sum or another such node whose value nobody else reads. The engine does so, and so does every runtime for small
  /// devices.
  ///
  /// - Parameters:
  ///   - shapes: of the values, as `shapes()` gives them. A node without a shape stays alone.
  ///   - runner: who runs the network.
  public func fusedNodes(shapes: [String: [Int?]], by runner: Runner = .file) -> Set<String> {
    let wiring = Wiring(self)
    var fused: Set<String> = []
    var passes: [String: Pass] = [:]
    for (index, node) in nodes.enumerated() {
      guard let shape = shapes[node.name] else { continue }
      let part = node.operation.partOfPass(rank: shape.count, by: runner)
      if node.inputs.count == 1, wiring.onlyReader(of: node.inputs[0]) == index, let before = passes[node.inputs[0]],
        let joined = before.joined(by: part)
      {
        fused.insert(node.name)
        passes[node.name] = joined
      } else {
        passes[node.name] = Pass(beginningWith: part)
      }
    }
    return fused
  }
}

extension StageStep {
  /// Whether what follows element by element runs as the end of this node in a written file.
  public var takesFinish: Bool {
    switch operation.partOfPass(rank: output.count, by: .file) {
    case .beginning, .affine: true
    case .activation, .alone: false
    }
  }
}

/// One pass over the elements of a value: what has happened to them since a node made them.
private struct Pass {
  /// The axis along which an affine function may still be applied; nil where none may.
  private let channelAxis: Int?
  private var hasActivation = false

  /// Begins a pass; nil where nothing can follow in it.
  init?(beginningWith part: PartOfPass) {
    switch part {
    case .beginning(let axis): channelAxis = axis
    case .affine(let axis): channelAxis = axis
    case .activation(let activation):
      channelAxis = nil
      hasActivation = activation != .linear
    case .alone: return nil
    }
  }

  /// The pass with one more operation at its end; nil where the operation needs a pass of its own.
  func joined(by part: PartOfPass) -> Pass? {
    switch part {
    case .affine(let axis): return !hasActivation && axis == channelAxis ? self : nil
    case .activation(.linear): return self
    case .activation:
      guard !hasActivation else { return nil }
      var result = self
      result.hasActivation = true
      return result
    case .beginning, .alone: return nil
    }
  }
}

/// What an operation can be in a pass over the elements of a value.
private enum PartOfPass {
  /// It makes a value whose channels an affine function may follow along this axis; nil where only activations may follow.
  case beginning(channelAxis: Int?)
  /// It applies one affine function to each channel.
  case affine(channelAxis: Int)
  /// It applies one function to each element.
  case activation(Activation)
  /// It runs by itself.
  case alone
}

extension Operation {
  /// - Parameter rank: of the output.
  fileprivate func partOfPass(rank: Int, by runner: Runner) -> PartOfPass {
    switch self {
    case .convolution(let convolution, let layout, _, _):
      switch runner {
      case .file where !convolution.takesFinish: .alone
      case .file, .engine: .beginning(channelAxis: convolution.channelAxis(layout, rank: rank))
      }
    case .transposedConvolution(let convolution):
      .beginning(channelAxis: convolution.layout.channelAxis(rank: rank))
    case .merge(let merge): merge.isElementwise ? .beginning(channelAxis: nil) : .alone
    case .batchNormalization(let axis, _, _, _, _, _): .affine(channelAxis: axis.normalizedAxis(rank: rank))
    case .bias(_, let layout): .affine(channelAxis: layout.channelAxis(rank: rank))
    case .activation(let activation): activation.isElementwise ? .activation(activation) : .alone
    case .layerNormalization, .parametricReLU, .pooling, .globalPooling, .padding, .cropping, .upsampling, .reshape,
      .permutation, .scaling, .normalization, .repetition, .channelPermutation, .identity, .array, .unsupported:
      .alone
    }
  }
}

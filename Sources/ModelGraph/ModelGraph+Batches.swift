/// How a network deals with several samples at a time.
extension ModelGraph {
  /// Whether the first axis of every input and output counts the samples, so that a batch can be cut.
  package var keepsSamplesApart: Bool {
    sampleAxes?.areFirst(for: inputs.map(\.name) + outputs.map(\.value)) ?? false
  }

  /// The batch size that the model is made for, where it states one.
  package var fixedBatch: Int? { sampleAxes?.batch }

  /// Whether operations have NumPy's semantics, by which samples may meet on any axis.
  package var mayMixSamples: Bool {
    nodes.contains { if case .array = $0.operation { true } else { false } }
  }

  /// The shape of an input when so many samples run together; extents that nobody states stay open.
  ///
  /// - Parameter axes: Nil for a network that runs as a whole, where an open first axis takes the samples.
  package func shape(of input: Input, samples: Int, _ axes: SampleAxes?) -> [Int?] {
    if let axes { return axes.axis(of: input.name).map { input.shape.replacing($0, samples) } ?? input.shape }
    guard let first = input.shape.first, first == nil else { return input.shape }
    return input.shape.replacing(0, samples)
  }

  /// The most operations that stand one behind the other.
  package var depth: Int {
    var depths: [String: Int] = [:]
    for node in nodes where !node.inputs.isEmpty {
      depths[node.name] = 1 + (node.inputs.compactMap { depths[$0] }.max() ?? 0)
    }
    return depths.values.max() ?? 0
  }

  /// Whether values are rounded to whole numbers on their way, as a quantised network does: what differs by nothing but rounding before may
  /// differ by a whole step behind.
  package var roundsToSteps: Bool {
    nodes.contains { node in
      if case .array(.function(.round)) = node.operation { true } else { false }
    }
  }

  /// The classes of operators and layers that cannot be run, with how many there are of each, in the order of their first one.
  package var unsupportedTypes: [(type: String, reason: String, count: Int)] {
    var found: [(type: String, reason: String, count: Int)] = []
    for node in nodes {
      guard case .unsupported(let type, let reason) = node.operation else { continue }
      if let known = found.firstIndex(where: { $0.type == type }) {
        found[known].count += 1
      } else {
        found.append((type, reason, 1))
      }
    }
    return found
  }

  /// The first layer that cannot be run, with the reason; nil where all can.
  package var unsupportedNode: String? {
    for node in nodes {
      if case .unsupported(_, let reason) = node.operation { return "layer '\(node.layer)': \(reason)" }
    }
    return nil
  }
}

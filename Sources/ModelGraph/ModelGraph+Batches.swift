/// How a network deals with several samples at a time.
extension ModelGraph {
  /// Whether the first axis of every output counts the samples, so that a batch can be cut.
  package var keepsSamplesApart: Bool {
    [2, 3].allSatisfy { batch in
      guard let shapes = try? shapes(batch: batch) else { return false }
      return outputs.allSatisfy { shapes[$0.value]?.first == batch }
    }
  }

  /// The batch size that the model is made for, where it states one.
  package var fixedBatch: Int? { inputs.lazy.compactMap { $0.shape.first ?? nil }.first.flatMap { $0 > 0 ? $0 : nil } }

  /// The first layer that cannot be run, with the reason; nil where all can.
  package var unsupportedNode: String? {
    for node in nodes {
      if case .unsupported(_, let reason) = node.operation { return "layer '\(node.layer)': \(reason)" }
    }
    return nil
  }
}

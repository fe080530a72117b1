extension RecurrentShape {
  /// The shape that a parameter has in files.
  package func storedExtents(of parameter: RecurrentParameter) -> [Int] {
    switch parameter {
    case .input: [hidden, inputs]
    case .tensor: [hidden, hidden, inputs]
    case .stateFactor: [rank, hidden, 1]
    case .inputFactor: [rank, 1, inputs]
    case .outputFactor: [hidden, rank, 1]
    case .hidden, .bias, .alpha, .beta1, .beta2, .decoder, .decoderBias: extents(of: parameter)
    }
  }
}

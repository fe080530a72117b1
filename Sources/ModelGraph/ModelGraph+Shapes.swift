import Basics

extension ModelGraph {
  /// The shape of every value, graph inputs included; nil for an extent that the model leaves open.
  ///
  /// Values behind an unsupported operation are absent: nothing is known about them.
  ///
  /// - Parameter batch: Replaces the first extent of every input, or, where the network does not take that, of those inputs whose
  ///   first extent is open: not every input has a batch. Nil keeps what the model says.
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public func shapes(batch: Int? = nil) throws -> [String: [Int?]] {
    func starts(_ isReplaced: ([Int?]) -> Bool) -> [(String, [Int?]?)] {
      inputs.map { input in
        if input.rankIsOpen { return (input.name, nil) }
        guard let batch, !input.shape.isEmpty, isReplaced(input.shape) else { return (input.name, input.shape) }
        return (input.name, input.shape.replacing(0, batch))
      }
    }
    do {
      return try shapes(starts { _ in true })
    } catch {
      guard inputs.contains(where: { $0.shape.first ?? 1 == nil }) else { throw error }
      return try shapes(starts { $0[0] == nil })
    }
  }

  /// The shape of every value for one sample; nil where the network takes another count of samples only: its graph has the count that it was
  /// exported with.
  ///
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public func shapesOfOneSample() throws -> [String: [Int?]]? {
    _ = try shapes()
    return try? shapes(batch: 1)
  }

  /// The shape of every value when the inputs have these shapes; complete unless an operation is unsupported.
  ///
  /// - Throws: `Failure` that names the input or the layer where something does not fit.
  public func shapes(inputs given: [String: [Int]]) throws -> [String: [Int]] {
    let starts = try inputs.map { input in
      let subject = "input '\(input.name)'"
      guard let shape = given[input.name] else {
        throw Failure(subject, "is missing", "the network needs it", remedy: "expected \(input.shapeText)")
      }
      guard
        input.rankIsOpen
          || shape.count == input.shape.count && zip(shape, input.shape).allSatisfy({ $1 == nil || $0 == $1 }),
        shape.productIfExact != nil
      else {
        throw Failure(
          subject, "has the wrong shape", "\(shape)", remedy: "expected \(input.shapeText)")
      }
      return (input.name, shape.map(Int?.some))
    }
    return try shapes(starts).compactMapValues { shape in
      let known = shape.compactMap(\.self)
      return known.count == shape.count ? known : nil
    }
  }

  /// What is known of every value; values of which nothing is known are absent.
  ///
  /// - Parameter starts: The shapes of the inputs; nil where not even the count of axes is known.
  /// - Throws: What `misfit` throws, which is told of every node that does not fit its inputs.
  private func knownValues(
    _ starts: [(String, [Int?]?)], misfit: (Node, Failure) throws -> Void
  ) rethrows -> [String: KnownValue] {
    var values: [String: KnownValue] = [:]
    for (name, shape) in starts { values[name] = shape.map { KnownValue($0) } }
    for node in nodes {
      do {
        values[node.name] = try node.knownValue { values[$0] }
      } catch {
        try misfit(node, (error as? Failure) ?? Failure("", "does not fit its input", "\(error)"))
      }
    }
    return values
  }

  private func shapes(_ starts: [(String, [Int?]?)]) throws -> [String: [Int?]] {
    try knownValues(starts) { throw $1.within("layer '\($0.layer)'") }.mapValues(\.shape)
  }

  /// The graph with every node that cannot fit its inputs as one that is not supported, with the reason: a file whose graph is
  /// wrong, or is understood wrongly, still has its layers.
  ///
  /// - Parameter type: What a node is called in messages.
  package func markingMisfits(type: (Node) -> String) -> ModelGraph {
    var reasons: [String: String] = [:]
    _ = knownValues(inputs.map { ($0.name, $0.rankIsOpen ? nil : $0.shape) }) { node, failure in
      reasons[node.name] = "which \(failure.problem): \(failure.reason)"
    }
    guard !reasons.isEmpty else { return self }
    return ModelGraph(
      inputs: inputs,
      nodes: nodes.map { node in
        guard let reason = reasons[node.name] else { return node }
        return Node(
          name: node.name, layer: node.layer, operation: .unsupported(type: type(node), reason: reason),
          inputs: node.inputs)
      }, outputs: outputs)
  }

  /// The values that follow from the graph alone, by their nodes' names, with their elements: where a graph without inputs is
  /// arithmetic of whole numbers.
  package func literals() throws -> [String: Literal] {
    let values = try knownValues(inputs.map { ($0.name, $0.rankIsOpen ? nil : $0.shape) }) {
      throw $1.within("layer '\($0.layer)'")
    }
    return values.compactMapValues { value in
      guard let shape = value.shape.known, let content = value.content else { return nil }
      let elements = content.compactMap(\.self)
      return elements.count == content.count ? Literal(shape: shape, values: elements) : nil
    }
  }
}

extension Node {
  /// What follows about the node's value from what is known of its inputs; nil where nothing does.
  ///
  /// - Throws: `Failure` with an empty subject when the operation does not fit its inputs, or makes more than can be counted with.
  func knownValue(of input: (String) -> KnownValue?) throws -> KnownValue? {
    let known = inputs.compactMap(input)
    return known.count == inputs.count ? try operation.output(of: known)?.checked() : nil
  }

  /// The shape of the node's value for these operands, whose elements may decide about it; nil where it cannot be told.
  ///
  /// - Throws: `Failure` that names the layer when the operation does not fit them.
  package func outputShape(of operands: [(shape: [Int], elements: [Float])]) throws -> [Int]? {
    let known = operands.map { operand in
      KnownValue(
        operand.shape,
        content: operand.elements.count <= KnownValue.longest ? operand.elements.map { Double($0) } : nil)
    }
    return try Failure.within("layer '\(layer)'") { try operation.output(of: known)?.checked().shape.known }
  }
}

extension KnownValue {
  /// The value, if it is no larger than can be counted with.
  ///
  /// - Throws: `Failure` with an empty subject.
  fileprivate func checked() throws -> KnownValue {
    let extents = shape.compactMap(\.self)
    // Far above any memory, and far enough below overflow that sums and products of extents are safe.
    guard extents.productIfExact.map({ $0 <= 1 << 40 }) ?? false, extents.allSatisfy({ $0 <= 1 << 40 }) else {
      throw misfit("its output \(shape.text) is too large", nil)
    }
    return self
  }
}

extension Operation {
  /// What follows about the output, or nil where nothing does.
  func output(of inputs: [KnownValue]) throws -> KnownValue? {
    if case .array(let operation) = self { return try operation.output(of: inputs) }
    let shape = try outputShape(of: inputs.map(\.shape))
    return shape.map { KnownValue($0, content: content(of: inputs)) }
  }

  /// The elements of the output where shape arithmetic may go through the operation; nil for all others.
  private func content(of inputs: [KnownValue]) -> [Double?]? {
    switch self {
    case .identity, .activation(.linear), .reshape: inputs.first?.content
    case .activation(.relu(0, 0, let maximum)):
      inputs.first?.content?.map { $0.map { Swift.min(Swift.max($0, 0), maximum.map(Double.init) ?? .infinity) } }
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .activation, .parametricReLU,
      .pooling, .globalPooling, .padding, .cropping, .upsampling, .merge, .permutation, .scaling, .normalization,
      .repetition, .channelPermutation, .bias, .array, .unsupported:
      nil
    }
  }
}

import Basics

extension ModelGraph {
  /// The shape of every value, graph inputs included; nil for an extent that the model leaves open.
  ///
  /// Values behind an unsupported operation are absent: nothing is known about them.
  ///
  /// - Parameter batch: Replaces the first extent of every input; nil keeps what the model says.
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public func shapes(batch: Int? = nil) throws -> [String: [Int?]] {
    try shapes(
      inputs.map { input in
        guard let batch, !input.shape.isEmpty else { return (input.name, input.shape) }
        return (input.name, input.shape.replacing(0, batch))
      })
  }

  /// The shape of every value when the inputs have these shapes; complete unless an operation is unsupported.
  ///
  /// - Throws: `Failure` that names the input or the layer where something does not fit.
  public func shapes(inputs given: [String: [Int]]) throws -> [String: [Int]] {
    let starts = try inputs.map { input in
      let subject = "input '\(input.name)'"
      guard let shape = given[input.name] else {
        throw Failure(subject, "is missing", "the network needs it", remedy: "expected \(input.shape.text)")
      }
      guard shape.count == input.shape.count,
        zip(shape, input.shape).allSatisfy({ $1 == nil || $0 == $1 }), shape.productIfExact != nil
      else {
        throw Failure(
          subject, "has the wrong shape", "\(shape)", remedy: "expected \(input.shape.text)")
      }
      return (input.name, shape.map(Int?.some))
    }
    return try shapes(starts).compactMapValues { shape in
      let known = shape.compactMap(\.self)
      return known.count == shape.count ? known : nil
    }
  }

  private func shapes(_ starts: [(String, [Int?])]) throws -> [String: [Int?]] {
    var values = Dictionary(starts.map { ($0, KnownValue($1)) }) { first, _ in first }
    for node in nodes {
      let known = node.inputs.compactMap { values[$0] }
      guard known.count == node.inputs.count else { continue }
      do {
        guard let value = try node.operation.output(of: known) else { continue }
        let extents = value.shape.compactMap(\.self)
        // Far above any memory, and far enough below overflow that sums and products of extents are safe.
        guard extents.productIfExact.map({ $0 <= 1 << 40 }) ?? false, extents.allSatisfy({ $0 <= 1 << 40 }) else {
          throw misfit("its output \(value.shape.text) is too large", nil)
        }
        values[node.name] = value
      } catch let failure as Failure {
        throw failure.within("layer '\(node.layer)'")
      }
    }
    return values.mapValues(\.shape)
  }
}

extension Operation {
  /// What follows about the output, or nil where nothing does.
  func output(of inputs: [KnownValue]) throws -> KnownValue? {
    if case .array(let operation) = self { return try operation.output(of: inputs) }
    return try outputShape(of: inputs.map(\.shape)).map { KnownValue($0) }
  }
}

/// Which axis of each of a network's values counts the samples.
///
/// It need not be the first: a state is (layers, samples, units), a sequence (steps, samples, features). A value without such an axis is
/// the same for all samples: a rate, a set of anchors.
public struct SampleAxes: Sendable, Equatable {
  /// The samples that the model takes at a time, where it states them; nil where it takes any number.
  public let batch: Int?
  private let axes: [String: Int]

  /// The axis of a value of the graph, by the value's name; nil where no axis of it counts the samples.
  public func axis(of value: String) -> Int? { axes[value] }

  /// The axes of the network's inputs and outputs, and of what follows about the values between them.
  init(_ axes: [String: Int], batch: Int?) {
    self.axes = axes
    self.batch = batch
  }

  /// Whether all of these values count the samples on their first axis.
  func areFirst(for values: [String]) -> Bool { values.allSatisfy { axes[$0] == 0 } }
}

extension ModelGraph {
  /// The axes that count the samples, as far as shapes tell; nil where the network runs as a whole, once for a set of inputs: where an
  /// output holds no part for each sample.
  ///
  /// An axis counts the samples if every output has an axis that grows with it and with nothing else. Of several such axes the first one is
  /// taken. Shapes do not show whether an operation mixes what lies along the axis.
  public var sampleAxes: SampleAxes? {
    if statesBatch { return fixedAxes }
    for starts in openHypotheses {
      if let axes = axes(growingWith: starts) { return SampleAxes(axes, batch: nil) }
    }
    return inputs.contains { $0.shape.contains(nil) } ? nil : fixedAxes
  }

  /// The first axes of inputs that leave them open, for a network that runs as a whole on any number of samples; nil for any other.
  public var openFirstAxes: SampleAxes? {
    guard sampleAxes == nil else { return nil }
    let open = inputs.filter { $0.shape.first == .some(nil) }
    return open.isEmpty ? nil : SampleAxes(Dictionary(open.map { ($0.name, 0) }) { first, _ in first }, batch: nil)
  }

  /// Whether all inputs, and as far as is known all outputs, have the same stated extent on their first axis, whatever else is open.
  private var statesBatch: Bool {
    guard let batch = inputs.first?.shape.first ?? nil, let shapes = try? shapes() else { return false }
    return inputs.allSatisfy { $0.shape.first == batch } && outputs.allSatisfy { shapes[$0.value]?.first == batch }
  }

  /// The axes of inputs that may count the samples together, the likeliest first: those at the same place in every input, and where only
  /// one axis of an input is open, that one.
  private var openHypotheses: [[String: Int]] {
    let open = inputs.map { input in input.shape.indices.filter { input.shape[$0] == nil } }
    let deepest = open.flatMap(\.self).max() ?? -1
    var found: [[String: Int]] = []
    func add(_ axes: [String: Int]) {
      if !axes.isEmpty, !found.contains(axes) { found.append(axes) }
    }
    for axis in 0..<max(0, deepest + 1) {
      let exact = zip(inputs, open).filter { $1.contains(axis) }.map { ($0.0.name, axis) }
      let alone = zip(inputs, open).filter { !$1.contains(axis) && $1.count == 1 }.map { ($0.0.name, $0.1[0]) }
      guard !exact.isEmpty else { continue }
      add(Dictionary(exact + alone) { first, _ in first })
      add(Dictionary(exact) { first, _ in first })
    }
    // What is left is one input alone.
    for (input, axes) in zip(inputs, open) { for axis in axes { add([input.name: axis]) } }
    return Array(found.prefix(Self.mostHypotheses))
  }

  private static let mostHypotheses = 12

  /// The axes of all values that grow with some axes of the inputs; nil where an output has none or several, or where an operation that
  /// knows its batch would have it elsewhere.
  private func axes(growingWith starts: [String: Int]) -> [String: Int]? {
    guard let two = shapes(with: starts, extent: 2), let three = shapes(with: starts, extent: 3) else { return nil }
    var axes: [String: Int] = [:]
    for (value, shape) in two {
      guard let other = three[value], other.count == shape.count else { continue }
      let growing = shape.indices.filter { shape[$0] != other[$0] }
      // Scores of all pairs, say: samples meet there.
      guard growing.count <= 1 else { return nil }
      if growing.count == 1, shape[growing[0]] == 2, other[growing[0]] == 3 { axes[value] = growing[0] }
    }
    guard outputs.allSatisfy({ axes[$0.value] != nil }),
      nodes.allSatisfy({ node in node.inputs.allSatisfy { node.mayCount(axis: axes[$0]) } })
    else { return nil }
    return axes
  }

  private func shapes(with starts: [String: Int], extent: Int) -> [String: [Int?]]? {
    let inputs = inputs.map { input in
      starts[input.name].map { Input(name: input.name, shape: input.shape.replacing($0, extent)) } ?? input
    }
    return try? ModelGraph(inputs: inputs, nodes: nodes, outputs: outputs).shapes()
  }

  /// Of a model that states all extents: the first axis, of the inputs that have the same extent there as every output. Each run takes
  /// exactly that many, so nothing can be cut at a wrong place.
  private var fixedAxes: SampleAxes? {
    let extents = inputs.compactMap { $0.shape.first ?? nil }
    guard !extents.isEmpty, let shapes = try? shapes() else { return nil }
    let results = outputs.map { shapes[$0.value] }
    guard results.allSatisfy({ $0?.isEmpty != true }) else { return nil }
    let agreeing = extents.first { extent in results.allSatisfy { $0?.first == extent } }
    // Outputs of another extent, such as lists of boxes, stand one behind the other.
    guard let batch = agreeing ?? (Set(extents).count == 1 ? extents[0] : nil), batch > 0 else { return nil }
    let starts = Dictionary(inputs.filter { $0.shape.first == batch }.map { ($0.name, 0) }) { first, _ in first }
    let inner = axes(growingWith: starts) ?? starts
    return SampleAxes(
      inner.merging(outputs.map { ($0.value, 0) }) { _, first in first }.merging(starts) { _, first in first },
      batch: batch)
  }
}

extension Node {
  /// Whether an axis of an input may count samples as far as the operation itself knows: layers have the batch first, and the steps of a
  /// sequence are no samples.
  fileprivate func mayCount(axis: Int?) -> Bool {
    guard let axis else { return true }
    if case .array(let operation) = operation {
      if case .recurrent = operation { return axis == 1 }
      return true
    }
    if case .convolution(let convolution, _, _, _) = operation, convolution.spatialOrder == 0 { return true }
    if holdsKernel { return axis == 0 }
    return true
  }
}

import Basics
import ModelGraph
import Running
import TensorCore

/// What is measured of a network's outputs, summed up over samples: nothing of the size of the outputs is kept.
struct OutputMeasurement: Sendable {
  /// Of the first output, this network's and that of what it is compared with.
  struct Quality: Sendable {
    /// Samples whose largest class is their label; nil where there are no labels or no classes.
    var correct: Int?
    /// The sum of the samples' signal-to-noise ratios in dB; nil without targets.
    var noise: Double?
  }

  fileprivate var samples: Int
  fileprivate var shapes: [[Int]]
  fileprivate var differences: [OutputDifference]?
  /// Whether each output holds finite numbers only.
  private(set) var areFinite: [Bool]
  private(set) var own: Quality
  private(set) var reference: Quality?

  fileprivate init(
    samples: Int, shapes: [[Int]], differences: [OutputDifference]?, areFinite: [Bool], own: Quality,
    reference: Quality?
  ) {
    self.samples = samples
    self.shapes = shapes
    self.differences = differences
    self.areFinite = areFinite
    self.own = own
    self.reference = reference
  }

  /// The share of samples whose largest class is their label.
  func accuracy(_ quality: Quality?) -> Double? { quality?.correct.map { Double($0) / Double(max(1, samples)) } }

  /// The mean of the samples' signal-to-noise ratios in dB.
  func psnr(_ quality: Quality?) -> Double? { quality?.noise.map { $0 / Double(max(1, samples)) } }

  fileprivate mutating func add(_ other: OutputMeasurement) {
    samples += other.samples
    areFinite = zip(areFinite, other.areFinite).map { $0 && $1 }
    for index in differences?.indices ?? 0..<0 { other.differences.map { differences?[index].add($0[index]) } }
    own.add(other.own)
    other.reference.map { reference?.add($0) }
  }
}

extension OutputMeasurement.Quality {
  fileprivate mutating func add(_ other: Self) {
    correct = correct.flatMap { ours in other.correct.map { ours + $0 } }
    noise = noise.flatMap { ours in other.noise.map { ours + $0 } }
  }
}

/// Measures outputs of a network, samples by samples.
struct OutputMeter: Sendable {
  let graph: ModelGraph
  let samples: Samples
  /// What failures are about: the file that the outputs are compared with or come from.
  let source: String
  /// The peak of the targets' signal.
  private let peak: Double

  init(_ graph: ModelGraph, _ samples: Samples, source: String) {
    self.graph = graph
    self.samples = samples
    self.source = source
    peak = (samples.targets?.elements.max() ?? 1) > 2 ? 255 : 1
  }

  /// Measures the outputs of some samples.
  ///
  /// - Parameters:
  ///   - expected: what they are compared with; nil where there is nothing.
  /// - Throws: `Failure` where an output has another shape than what it is compared with, or fewer classes than a label says.
  func measure(
    _ range: Range<Int>, _ outputs: [Tensor<Float>], _ expected: [Tensor<Float>]?
  ) throws -> OutputMeasurement {
    let first = graph.outputs[0].value
    return OutputMeasurement(
      samples: range.count, shapes: outputs.map(\.shape),
      differences: try expected.map { try differences(of: outputs, from: $0, range) },
      areFinite: outputs.map(\.isFinite),
      own: try quality(samples.samplesFirst(outputs[0], of: first), range, isOwn: true),
      reference: try expected.map { try quality(samples.samplesFirst($0[0], of: first), range, isOwn: false) })
  }

  /// What the measurements of parts, in the order of the samples, come to.
  ///
  /// - Throws: `Failure` where the parts of an output do not make up a whole.
  func total(_ parts: [OutputMeasurement]) throws -> OutputMeasurement {
    for (index, output) in graph.outputs.enumerated() {
      try output.checkJoining(parts.map { $0.shapes[index] }, axis: samples.axes?.axis(of: output.value) ?? 0)
    }
    var result = parts[0]
    for part in parts.dropFirst() { result.add(part) }
    return result
  }

  /// The comparison of each output; none where there was nothing to compare with.
  func comparisons(_ total: OutputMeasurement) -> [OutputComparison] {
    zip(graph.outputs, total.differences ?? []).map { OutputComparison(name: $0.name, $1) }
  }

  private func differences(
    of outputs: [Tensor<Float>], from expected: [Tensor<Float>], _ range: Range<Int>
  ) throws -> [OutputDifference] {
    guard outputs.count == expected.count else {
      throw Failure(
        source, "cannot be compared by its outputs", "it gives \(outputs.count), and the original \(expected.count)")
    }
    return try graph.outputs.enumerated().map { index, output in
      let isNumber = outputs[index].count == 1 && expected[index].count == 1
      guard isNumber || outputs[index].shape == expected[index].shape else {
        let shapes = [expected, outputs].map { whole($0[index].shape, of: output.value, range) }
        throw Failure(
          source, "output '\(output.name)' cannot be compared",
          "the reference has the shape \(shapes[0]), the network gives \(shapes[1])")
      }
      return OutputDifference(
        samples.samplesFirst(outputs[index], of: output.value),
        reference: samples.samplesFirst(expected[index].reshaped(outputs[index].shape), of: output.value))
    }
  }

  /// The shape that an output of all samples has where that of some is this one.
  private func whole(_ shape: [Int], of value: String, _ range: Range<Int>) -> [Int] {
    guard let axis = samples.axes?.axis(of: value), shape.indices.contains(axis), shape[axis] == range.count else {
      return shape
    }
    var result = shape
    result[axis] = samples.count
    return result
  }

  private func quality(
    _ output: Tensor<Float>, _ range: Range<Int>, isOwn: Bool
  ) throws -> OutputMeasurement.Quality {
    var result = OutputMeasurement.Quality()
    if let labels = samples.labels?[range] {
      if isOwn, let classes = output.kind.classCount, let wrong = labels.first(where: { $0 >= classes }) {
        throw Failure(
          samples.source, "array 'labels' holds \(wrong)", "the network has \(classes) classes",
          remedy: "expected class indices from 0 to \(classes - 1)")
      }
      result.correct = output.countAgreeing(with: Array(labels))
    }
    if let targets = samples.targets.flatMap({ part($0, range) }), output.count == targets.count {
      result.noise = output.reshaped(targets.shape).psnr(targets: targets, peak: peak) * Double(range.count)
    }
    return result
  }

  /// The targets of some samples; nil where they are not as many as the samples.
  private func part(_ targets: Tensor<Float>, _ range: Range<Int>) -> Tensor<Float>? {
    if range.count == samples.count { return targets }
    guard targets.count % samples.count == 0 else { return nil }
    return targets.reshaped([samples.count, targets.count / samples.count]).samples(range)
  }
}

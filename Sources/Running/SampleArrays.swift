import Basics
import ModelGraph
import TensorCore

/// Samples as a file holds them, an array for each input: what somebody asks for is decoded, brought into the input's shape and prepared
/// then, so that 8-bit images take a byte for each value.
package struct SampleArrays: Sendable {
  package let count: Int
  /// Which axes count the samples; nil where the network runs on the arrays as a whole.
  package let axes: SampleAxes?
  private let arrays: [String: StoredTensor]
  private let arrangements: [String: SampleArrangement]
  private let preparation: SamplePreparation

  /// - Throws: `Failure` where an array is missing or does not fit.
  package init(_ stored: [StoredTensor], for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let found = graph.sampleAxes
    var arrays: [String: StoredTensor] = [:]
    var arrangements: [String: SampleArrangement] = [:]
    for (position, input) in graph.inputs.enumerated() {
      let array = try Self.array(of: input, at: position, of: graph.inputs.count, stored)
      arrangements[input.name] = try SampleArrangement(array, as: input, sampleAxis: found?.axis(of: input.name))
      arrays[input.name] = array
    }
    let shapes = Dictionary(
      uniqueKeysWithValues: arrays.map { ($0, arrangements[$0]?.shape(of: $1.shape) ?? $1.shape) })
    let own = try found.flatMap { try Self.count($0, shapes, graph) }
    axes = own == nil ? nil : found
    let first = graph.inputs.first { $0.shape.first == .some(nil) }.flatMap { shapes[$0.name]?.first }
    let all = own ?? first ?? 1
    guard all > 0, arrays.values.allSatisfy({ !$0.bytes.isEmpty }) else {
      throw Failure("", "holds no samples", "its inputs are empty", remedy: "give at least one sample")
    }
    count = axes == nil ? all : min(all, preparation.maximumCount ?? all)
    for input in graph.inputs where axes?.axis(of: input.name) == 0 {
      arrays[input.name] = arrays[input.name]?.firstSamples(count)
    }
    self.arrays = arrays
    self.arrangements = arrangements
    self.preparation = preparation
    // Whether the preparation fits does not depend on the sample.
    _ = try samples(0..<(axes == nil ? count : 1))
  }

  private static func array(
    of input: ModelGraph.Input, at position: Int, of inputCount: Int, _ stored: [StoredTensor]
  ) throws -> StoredTensor {
    let names = [input.name, "inputs_\(position)"] + (inputCount == 1 ? ["inputs"] : [])
    guard let array = names.lazy.compactMap({ name in stored.first { $0.name == name } }).first else {
      throw Failure(
        "input '\(input.name)'", "has no samples",
        "the file holds only \(stored.map { "'\($0.name)'" }.sorted().joined(separator: ", "))",
        remedy: "name the array '\(inputCount == 1 ? "inputs" : input.name)'")
    }
    return array
  }

  /// The samples that all arrays hold; nil where they hold different numbers, and the network takes them so in one run.
  private static func count(_ axes: SampleAxes, _ shapes: [String: [Int]], _ graph: ModelGraph) throws -> Int? {
    let counts = graph.inputs.compactMap { input in
      axes.axis(of: input.name).flatMap { axis in shapes[input.name].map { (input.name, $0[axis]) } }
    }
    guard let first = counts.first, let other = counts.first(where: { $0.1 != first.1 }) else { return counts.first?.1 }
    if (try? graph.shapes(inputs: shapes)) != nil { return nil }
    throw Failure(
      "input '\(other.0)'", "has \(other.1) samples", "another input has \(first.1)",
      remedy: "give every input the same number of samples")
  }

  /// Some samples in an order of their own, with the inputs that all samples share.
  ///
  /// - Throws: `Failure` where an array's numbers cannot be decoded, the preparation does not fit them, or the samples cannot be told
  ///   apart and these are not all.
  package func samples(_ indices: some Collection<Int>) throws -> [String: Tensor<Float>] {
    guard axes != nil || indices.count == count else {
      throw Failure(
        "", "gives no single samples", "the network takes its inputs as a whole",
        remedy: "give every input the same number of samples")
    }
    return try Dictionary(
      uniqueKeysWithValues: arrays.map { name, array in
        let axis = axes?.axis(of: name)
        let stored = axis == 0 ? array.picked(indices) : array
        let arranged = (arrangements[name] ?? .unchanged).apply(to: try stored.decoded(as: Float.self))
        let picked = axis.map { $0 == 0 ? arranged : arranged.picked(Array(indices), axis: $0) } ?? arranged
        return (name, try preparation.apply(to: picked, arrayName: array.name))
      })
  }

  /// An input with a sample that holds NaN or infinite values as it is prepared; nil where there is none.
  package var firstNotFinite: String? {
    get throws {
      let step = axes == nil ? count : 256
      for start in stride(from: 0, to: count, by: step) {
        let some = try samples(start..<min(start + step, count))
        if let name = some.keys.sorted().first(where: { some[$0]?.isFinite == false }) { return name }
      }
      return nil
    }
  }

  /// What the samples take as they lie here.
  package var byteCount: Int { arrays.values.reduce(0) { $0 + $1.bytes.count } }
}

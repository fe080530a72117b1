import Basics
import Formats
import ModelGraph
import TensorCore

/// A data file read for a network: its inputs as they lie there, and whatever there is to compare the network's outputs with.
package struct SampleFile: Sendable {
  package let inputs: SampleArrays
  /// What the network should give, in the order of the graph's outputs; nil where the file has none.
  package let outputs: [Tensor<Float>]?
  private let labelArray: StoredTensor?
  /// What a regression network should give.
  package let targets: Tensor<Float>?
  package let path: String
  /// Whether only the first samples are taken.
  private let isCut: Bool

  package var count: Int { inputs.count }

  /// - Throws: `Failure` naming the array and both shapes where one does not fit.
  package init(_ path: String, for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let arrays = try DataFile.read(path)
    do {
      inputs = try SampleArrays(arrays, for: graph, preparation)
      isCut = preparation.maximumCount != nil && inputs.axes != nil
      outputs = try Self.outputs(arrays, graph: graph, inputs: inputs, isCut: isCut)
      labelArray = arrays.first { $0.name == "labels" }
      targets = try arrays.first { $0.name == "targets" }?.firstSamples(inputs.count).decoded()
    } catch let failure as Failure {
      throw failure.within(path)
    }
    self.path = path
  }

  private static func outputs(
    _ arrays: [StoredTensor], graph: ModelGraph, inputs: SampleArrays, isCut: Bool
  ) throws -> [Tensor<Float>]? {
    var outputs: [Tensor<Float>] = []
    for (position, output) in graph.outputs.enumerated() {
      let names =
        ["outputs_\(position)", output.name] + (graph.outputs.count == 1 ? ["outputs"] : [])
      guard let array = names.lazy.compactMap({ name in arrays.first { $0.name == name } }).first else {
        guard outputs.isEmpty else {
          throw Failure(
            "output '\(output.name)'", "has no reference", "the file has it for other outputs",
            remedy: "name the array 'outputs_\(position)'")
        }
        return nil
      }
      // An output of boxes, say, has no part for each sample and is compared as it is.
      guard let axis = inputs.axes?.axis(of: output.value), inputs.axes?.batch == nil else {
        outputs.append(try (isCut ? array.firstSamples(inputs.count) : array).decoded())
        continue
      }
      let whole = try array.decoded(as: Float.self)
      // A single number needs no axis for its sample.
      if inputs.count == 1, whole.count == 1 {
        outputs.append(whole)
        continue
      }
      guard axis < whole.order else {
        throw Failure(
          "array '\(array.name)'", "has no axis for the samples", "its shape is \(array.shape)",
          remedy: "expected \(inputs.count) samples on axis \(axis)")
      }
      guard whole.shape[axis] >= inputs.count else {
        throw Failure(
          "array '\(array.name)'", "has \(whole.shape[axis]) samples", "there are \(inputs.count) inputs")
      }
      outputs.append(isCut ? whole.samples(0..<inputs.count, axis: axis) : whole)
    }
    return outputs
  }

  /// Class indices, one for each sample; nil where the file has none.
  ///
  /// - Throws: `Failure` where they are not that.
  package var labels: [Int]? {
    get throws {
      guard let array = labelArray else { return nil }
      let values: Tensor<Double> = try (isCut ? array.firstSamples(count) : array).decoded()
      guard values.count == count else {
        throw Failure(
          path, "array 'labels' has \(values.count) entries", "there are \(count) inputs",
          remedy: "give one class index for each sample")
      }
      return try values.elements.map { value in
        guard let label = Int(exactly: value), label >= 0 else {
          throw Failure(path, "array 'labels' holds \(value)", "a label is a class index from 0")
        }
        return label
      }
    }
  }
}

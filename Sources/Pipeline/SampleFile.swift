import Basics
import Formats
import ModelGraph
import TensorCore

/// A data file read for a network: its inputs as they lie there, and whatever there is to compare the network's outputs with.
struct SampleFile: Sendable {
  let inputs: SampleArrays
  /// What the network should give, in the order of the graph's outputs; nil where the file has none.
  let outputs: [Tensor<Float>]?
  private let labelArray: StoredTensor?
  /// What a regression network should give.
  let targets: Tensor<Float>?
  let path: String
  /// Whether only the first samples are taken.
  private let isCut: Bool

  var count: Int { inputs.count }

  /// - Throws: `Failure` naming the array and both shapes where one does not fit.
  init(_ path: String, for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let arrays = try DataFile.read(path)
    do {
      inputs = try SampleArrays(arrays, for: graph, preparation)
      outputs = try Self.outputs(arrays, graph: graph, count: inputs.count, isCut: preparation.maximumCount != nil)
      labelArray = arrays.first { $0.name == "labels" }
      isCut = preparation.maximumCount != nil
      targets = try arrays.first { $0.name == "targets" }?.firstSamples(inputs.count).decoded()
    } catch let failure as Failure {
      throw failure.within(path)
    }
    self.path = path
  }

  private static func outputs(
    _ arrays: [StoredTensor], graph: ModelGraph, count: Int, isCut: Bool
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
      guard array.shape.first ?? 0 >= count || !graph.keepsSamplesApart else {
        throw Failure(
          "array '\(array.name)'", "has \(array.shape.first ?? 0) samples", "there are \(count) inputs")
      }
      // Without a limit the output is compared as it is: not every network's output counts samples on its first axis.
      outputs.append(try (isCut ? array.firstSamples(count) : array).decoded())
    }
    return outputs
  }

  /// Class indices, one for each sample; nil where the file has none.
  ///
  /// - Throws: `Failure` where they are not that.
  var labels: [Int]? {
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

extension StoredTensor {
  /// The same tensor with at most `count` samples.
  func firstSamples(_ count: Int?) -> StoredTensor {
    guard let count, let samples = shape.first, samples > count else { return self }
    let size = bytes.count / samples
    return StoredTensor(
      name: name, dtype: dtype, shape: [count] + shape.dropFirst(), bytes: Array(bytes[..<(count * size)]))
  }
}

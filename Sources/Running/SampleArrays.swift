import Basics
import ModelGraph
import TensorCore

/// Samples as a file holds them, an array for each input: what somebody asks for is decoded, brought into the input's shape and prepared
/// then, so that 8-bit images take a byte for each value.
package struct SampleArrays: Sendable {
  package let count: Int
  private let arrays: [String: StoredTensor]
  private let arrangements: [String: Arrangement]
  private let preparation: SamplePreparation

  /// How an array becomes what the input wants.
  fileprivate enum Arrangement: Sendable {
    case unchanged
    case permuted([Int])
    /// The extents of a sample.
    case reshaped([Int])
  }

  /// - Throws: `Failure` where an array is missing or does not fit.
  package init(_ stored: [StoredTensor], for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    var arrays: [String: StoredTensor] = [:]
    for (position, input) in graph.inputs.enumerated() {
      let names = [input.name, "inputs_\(position)"] + (graph.inputs.count == 1 ? ["inputs"] : [])
      guard let array = names.lazy.compactMap({ name in stored.first { $0.name == name } }).first else {
        throw Failure(
          "input '\(input.name)'", "has no samples",
          "the file holds only \(stored.map { "'\($0.name)'" }.sorted().joined(separator: ", "))",
          remedy: "name the array '\(graph.inputs.count == 1 ? "inputs" : input.name)'")
      }
      arrays[input.name] = array.firstSamples(preparation.maximumCount)
    }
    let counts = arrays.mapValues { $0.shape.first ?? 0 }
    count = graph.inputs.first.flatMap { counts[$0.name] } ?? 0
    for input in graph.inputs where counts[input.name] != count {
      throw Failure(
        "input '\(input.name)'", "has \(counts[input.name] ?? 0) samples", "another input has \(count)",
        remedy: "give every input the same number of samples")
    }
    guard count > 0 else {
      throw Failure("", "holds no samples", "its inputs are empty", remedy: "give at least one sample")
    }
    arrangements = try Dictionary(
      uniqueKeysWithValues: graph.inputs.map { input in
        (input.name, try arrays[input.name].map { try Arrangement($0, as: input) } ?? .unchanged)
      })
    self.arrays = arrays
    self.preparation = preparation
    // Whether the preparation fits does not depend on the sample.
    _ = try samples([0])
  }

  /// Some samples in an order of their own.
  ///
  /// - Throws: `Failure` where an array's numbers cannot be decoded or the preparation does not fit them.
  package func samples(_ indices: some Collection<Int>) throws -> [String: Tensor<Float>] {
    try Dictionary(
      uniqueKeysWithValues: arrays.map { name, array in
        let picked: Tensor<Float> = try array.picked(indices).decoded()
        let arranged =
          switch arrangements[name] ?? .unchanged {
          case .unchanged: picked
          case .permuted(let order): picked.permuted(order)
          case .reshaped(let extents): picked.reshaped([indices.count] + extents)
          }
        return (name, try preparation.apply(to: arranged, arrayName: array.name))
      })
  }

  /// An input with a sample that holds NaN or infinite values as it is prepared; nil where there is none.
  package var firstNotFinite: String? {
    get throws {
      for start in stride(from: 0, to: count, by: 256) {
        let some = try samples(start..<min(start + 256, count))
        if let name = some.keys.sorted().first(where: { some[$0]?.isFinite == false }) { return name }
      }
      return nil
    }
  }

  /// What the samples take as they lie here.
  package var byteCount: Int { arrays.values.reduce(0) { $0 + $1.bytes.count } }
}

extension SampleArrays.Arrangement {
  /// As the array is, with a missing singleton axis put in, or, for an image batch in the other layout, transposed. An image batch that fits
  /// in both layouts is refused rather than guessed.
  fileprivate init(_ array: StoredTensor, as input: ModelGraph.Input) throws {
    let shape = array.shape
    if input.rankIsOpen {
      self = .unchanged
      return
    }
    func fits(_ shape: [Int]) -> Bool {
      shape.count == input.shape.count
        && zip(shape, input.shape).dropFirst().allSatisfy { $1 == nil || $0 == $1 }
    }
    let transpositions = shape.count == 4 ? [[0, 3, 1, 2], [0, 2, 3, 1]] : []
    let transposed = transpositions.filter { order in fits(order.map { shape[$0] }) }
    let readings = (fits(shape) ? 1 : 0) + transposed.count
    guard readings <= 1 || shape.dropFirst().allSatisfy({ $0 == 1 }) else {
      throw Failure(
        "array '\(array.name)'", "can be read in two ways",
        "its shape \(shape.map(Int?.some).text) fits \(input.shape.text) as NHWC and as NCHW",
        remedy: "give images whose height, width and channels differ")
    }
    let extents = input.shape.dropFirst().map { $0 ?? 0 }
    let full = [shape.first ?? 0] + extents
    if fits(shape) {
      self = .unchanged
    } else if let order = transposed.first {
      self = .permuted(order)
    } else if shape.count == input.shape.count - 1, full.filter({ $0 != 1 }) == shape.filter({ $0 != 1 }) {
      self = .reshaped(extents)
    } else {
      throw Failure(
        "array '\(array.name)'", "does not fit input '\(input.name)'",
        "its shape is \(shape.map(Int?.some).text), the input's is \(input.shape.text)",
        remedy: "give samples of the input's shape")
    }
  }
}

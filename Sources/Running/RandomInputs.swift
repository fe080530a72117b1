import Basics
import ModelGraph
import TensorCore

/// Seeded uniform inputs of [0, 1). They are drawn when somebody asks for them: a number depends on the seed and on its place alone, so any
/// samples are made without the others.
struct RandomInputs: Sendable {
  private struct Input: Sendable {
    let name: String
    let shape: [Int]
    /// How many numbers the inputs before it take.
    let start: Int
  }

  private let seed: UInt64
  private let inputs: [Input]

  /// Inputs of these shapes, their numbers drawn one after the other in this order.
  init(seed: UInt64, shapes: [(name: String, shape: [Int])]) {
    self.seed = seed
    var (inputs, start) = ([Input](), 0)
    for (name, shape) in shapes {
      inputs.append(Input(name: name, shape: shape, start: start))
      start &+= shape.reduce(1, *)
    }
    self.inputs = inputs
  }

  /// The inputs of some samples, with those that all samples share; all of them where there are no axes.
  func samples(_ range: Range<Int>, _ axes: SampleAxes?) -> [String: Tensor<Float>] {
    Dictionary(
      uniqueKeysWithValues: inputs.map { input in (input.name, tensor(input, range, axis: axes?.axis(of: input.name))) }
    )
  }

  private func tensor(_ input: Input, _ range: Range<Int>, axis: Int?) -> Tensor<Float> {
    var extents = input.shape
    guard let axis else { return Tensor(shape: extents, elements: numbers(from: input.start, extents.reduce(1, *))) }
    let inner = extents.dropFirst(axis + 1).reduce(1, *)
    let (outer, step) = (extents[..<axis].reduce(1, *), extents[axis] * inner)
    extents[axis] = range.count
    var elements: [Float] = []
    elements.reserveCapacity(outer * range.count * inner)
    for block in 0..<outer {
      elements += numbers(from: input.start + block * step + range.lowerBound * inner, range.count * inner)
    }
    return Tensor(shape: extents, elements: elements)
  }

  private func numbers(from start: Int, _ count: Int) -> [Float] {
    var generator = SplitMix64(seed: seed)
    generator.skip(start)
    return (0..<count).map { _ in Float(generator.nextUniform()) }
  }
}

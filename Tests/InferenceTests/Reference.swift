import Basics
import Inference
import ModelGraph
import TensorCore

/// One operation run by the engine on one input, its weights drawn from a generator or given.
func run(
  _ operation: Operation, _ inputs: [Tensor<Float>], weights: [String: Tensor<Float>] = [:]
) throws -> Tensor<Float> {
  let names = inputs.indices.map { "input\($0)" }
  let graph = ModelGraph(
    inputs: zip(names, inputs).map { .init(name: $0, shape: $1.shape) },
    nodes: [Node(name: "output", layer: "layer", operation: operation, inputs: names)],
    outputs: [.init(name: "output", value: "output")])
  let engine = try Engine(graph) { reference in
    guard let weight = weights[reference.name] else {
      throw Failure("weight '\(reference.name)'", "is missing", "the test has none")
    }
    return reference.read(weight)
  }
  return try engine.run(Dictionary(uniqueKeysWithValues: zip(names, inputs)))[0]
}

extension Tensor<Float> {
  init(gaussian shape: [Int], seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    self.init(gaussian: shape, using: &generator)
  }

  /// The largest difference between two tensors of one shape; infinite where the shapes differ or a NaN stands.
  func largestDifference(from other: Tensor<Float>) -> Float {
    guard shape == other.shape else { return .infinity }
    return zip(elements, other.elements).reduce(0) { largest, pair in
      let difference = abs(pair.0 - pair.1)
      return difference <= .greatestFiniteMagnitude ? max(largest, difference) : .infinity
    }
  }

  /// Channels first from channels last, or back.
  var channelsFirst: Tensor<Float> { permuted([0, order - 1] + Array(1..<order - 1)) }
  var channelsLast: Tensor<Float> { permuted([0] + Array(2..<order) + [1]) }
}

/// Every index of a shape, in order.
func indices(of shape: [Int]) -> [[Int]] {
  shape.reduce([[]]) { prefixes, extent in prefixes.flatMap { prefix in (0..<extent).map { prefix + [$0] } } }
}

/// What a window covers: the taps of an output position that lie within the input, and where.
func taps(
  _ position: [Int], kernel: [Int], input: [Int], _ window: Window
) -> [(tap: [Int], place: [Int])] {
  let before = input.indices.map {
    window.padding.amounts(
      axis: $0, input: input[$0], kernel: kernel[$0], stride: window.stride[$0],
      dilation: window.dilation[$0]
    ).before
  }
  return indices(of: kernel).compactMap { tap in
    let place = tap.indices.map {
      position[$0] * window.stride[$0] + tap[$0] * window.dilation[$0] - before[$0]
    }
    return zip(place, input).allSatisfy { (0..<$1).contains($0) } ? (tap, place) : nil
  }
}

/// A convolution by its definition, channels first, summed in double precision.
func bruteForce(
  _ convolution: Convolution, _ kernel: Tensor<Float>, bias: [Float]?, _ input: Tensor<Float>
) -> Tensor<Float> {
  let spatial = Array(input.shape.dropFirst(2))
  let extents = convolution.window.outputExtents(input: spatial, kernel: convolution.spatialExtents)
  let (outputs, perGroup) = (convolution.kernelShape[0], convolution.kernelShape[1])
  let shape = [input.shape[0], convolution.outputChannels] + extents
  let elements = indices(of: shape).map { index -> Float in
    let (copy, output) = (index[1] / outputs, index[1] % outputs)
    let group = output / (outputs / convolution.groups)
    let first = (copy * convolution.groups + group) * perGroup
    var sum = Double(bias?[index[1]] ?? 0)
    for (tap, place) in taps(
      Array(index.dropFirst(2)), kernel: convolution.spatialExtents, input: spatial, convolution.window)
    {
      for channel in 0..<perGroup {
        sum += Double(kernel[[output, channel] + tap]) * Double(input[[index[0], first + channel] + place])
      }
    }
    return Float(sum)
  }
  return Tensor(shape: shape, elements: elements)
}

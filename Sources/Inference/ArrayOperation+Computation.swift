import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

extension ArrayOperation {
  /// Loads the weights of the operation.
  func computation(_ parameter: ParameterSource) throws -> any Computation {
    switch self {
    case .constant(let literal):
      return Constant(value: Value(shape: literal.shape, elements: literal.values.map { Float($0) }))
    case .parameter(let reference, let shape): return Constant(value: Value(try parameter(reference)).reshaped(shape))
    case .elementwise(let kind): return ElementwiseComputation(kind: kind)
    case .function(let function): return FunctionComputation(function: function)
    case .shape(let axes): return ShapeOfOperand(axes: axes)
    case .size: return ShapeOfOperand(axes: nil)
    case .reshape, .flatten, .squeeze, .unsqueeze, .align: return Reshaping()
    case .transpose(let order): return Permutation(order: order)
    case .expand: return Expansion()
    case .tile: return Tiling()
    case .filled(let value): return Filling(value: Float(value))
    case .range: return Progression()
    case .slice: return Slicing()
    case .gather(let axis): return Gathering(axis: axis)
    case .gatherElements(let axis): return ElementGathering(axis: axis)
    case .gatherPoints(let batchAxes): return PointGathering(batchAxes: batchAxes)
    case .scatterElements(let axis, let scattering): return ElementScattering(axis: axis, scattering: scattering)
    case .scatterPoints(let scattering): return PointScattering(scattering: scattering)
    case .top(let axis, let largest, let places): return TopPlaces(axis: axis, largest: largest, places: places)
    case .reverse(let axis, let batchAxis): return Reversal(axis: axis, batchAxis: batchAxis)
    case .triangle(let upper, let diagonal): return Triangle(upper: upper, diagonal: diagonal)
    case .concatenate(let axis): return Concatenation(axis: axis)
    case .part(let axis, let index, let count): return PartOfAxis(axis: axis, index: index, count: count)
    case .pad(let mode, let value): return Bordering(mode: mode, value: Float(value))
    case .depthToSpace(let block, let columnsFirst):
      return BlockRearrangement(block: block, columnsFirst: columnsFirst, toSpace: true)
    case .spaceToDepth(let block): return BlockRearrangement(block: block, columnsFirst: false, toSpace: false)
    case .reduce(let kind, _, let ignoresMissing):
      return ReductionComputation(kind: kind, ignoresMissingAxes: ignoresMissing)
    case .cumulativeSum(let axis, let excludesOwn, let fromEnd):
      return CumulativeSum(axis: axis, excludesOwn: excludesOwn, fromEnd: fromEnd)
    case .maximumPlace(let pooling, let columnsFirst):
      return MaximumPlace(pooling: pooling, columnsFirst: columnsFirst)
    case .extremum(let axis, let largest, _): return ExtremumPlace(axis: axis, largest: largest)
    case .resize(let resizing): return ResizingComputation(resizing: resizing)
    case .gridSample(let sampling): return GridSamplingComputation(sampling: sampling)
    case .einsum(let equation): return EinsumComputation(equation: equation)
    case .convolution(let convolution): return OperandConvolutionComputation(convolution: convolution)
    case .matrixProduct: return MatrixProduct()
    case .trailingSoftmax(let axis, let logarithmic): return TrailingSoftmax(axis: axis, logarithmic: logarithmic)
    case .recurrent(let layer):
      return try RecurrentComputation(
        layer, inputWeights: parameter(layer.inputWeights), hiddenWeights: parameter(layer.hiddenWeights),
        bias: layer.bias.map(parameter))
    }
  }
}

struct Constant: Computation {
  let value: Value

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value { value }
}

struct ShapeOfOperand: Computation {
  /// The axes whose extents are counted; nil counts all elements.
  let axes: Range<Int>?

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    guard let axes else { return Value(shape: [], elements: [Float(inputs[0].elements.count)]) }
    let shape = inputs[0].shape
    return Value(shape: outputShape, elements: shape[axes.clamped(to: 0..<shape.count)].map { Float($0) })
  }
}

struct Filling: Computation {
  let value: Float

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    Value(shape: outputShape, elements: Array(repeating: value, count: outputShape.reduce(1, *)))
  }
}

/// Operands: start, limit, step.
struct Progression: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let (start, step) = (Double(inputs[0].elements[0]), Double(inputs[2].elements[0]))
    return Value(shape: outputShape, elements: (0..<outputShape[0]).map { Float(start + Double($0) * step) })
  }
}

struct MatrixProduct: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let (a, b) = (inputs[0], inputs[1])
    let left = a.shape.count == 1 ? [1] + a.shape : a.shape
    let right = b.shape.count == 1 ? b.shape + [1] : b.shape
    let (m, k, n) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
    let outer = Array(outputShape.dropLast((a.shape.count > 1 ? 1 : 0) + (b.shape.count > 1 ? 1 : 0)))
    let x = a.reshaped(Array(repeating: 1, count: outer.count + 2 - left.count) + left).stretched(to: outer + [m, k])
    // A single matrix on the right takes all rows at once.
    if right.count == 2 {
      return Value(shape: outputShape, elements: Self.multiply(x.elements, b.elements, outer.reduce(m, *), k, n))
    }
    let y = b.reshaped(Array(repeating: 1, count: outer.count + 2 - right.count) + right).stretched(to: outer + [k, n])
    var result = Value(zeros: outputShape)
    for i in 0..<outer.reduce(1, *) {
      BLAS.gemm(
        false, false, m: m, n: n, k: k, a: x.elements, aOffset: i * m * k, lda: max(1, k), b: y.elements,
        bOffset: i * k * n, ldb: max(1, n), c: &result.elements, cOffset: i * m * n, ldc: max(1, n))
    }
    return result
  }

  private static func multiply(_ a: [Float], _ b: [Float], _ m: Int, _ k: Int, _ n: Int) -> [Float] {
    var c = [Float](repeating: 0, count: m * n)
    BLAS.gemm(false, false, m: m, n: n, k: k, a: a, lda: max(1, k), b: b, ldb: max(1, n), c: &c, ldc: max(1, n))
    return c
  }
}

/// Softmax over all axes from one on.
struct TrailingSoftmax: Computation {
  let axis: Int
  let logarithmic: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let axis = axis.normalizedAxis(rank: outputShape.count)
    let rows = outputShape[..<axis].reduce(1, *)
    var flat = [inputs.removeFirst().reshaped([rows, outputShape[axis...].reduce(1, *)])]
    let activation = AxisActivation(activation: logarithmic ? .logSoftmax(axis: 1) : .softmax(axis: 1))
    let shape = flat[0].shape
    return try activation.run(&flat, outputShape: shape).reshaped(outputShape)
  }
}

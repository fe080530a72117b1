import Basics
import ModelGraph
import TensorCore

/// Indices into an axis, which count from the end where they are negative.
///
/// - Throws: `Failure` with an empty subject for one that lies outside.
func place(_ index: Float, in extent: Int) throws -> Int {
  guard !index.isNaN else {
    throw Failure("", "cannot be run", "one of its indices is no number (NaN): these inputs lead to it")
  }
  let number = Int(clampingTruncated: Double(index)) ?? .min
  let position = number < 0 && number >= -extent ? number + extent : number
  guard (0..<extent).contains(position) else {
    throw Failure("", "cannot be run", "it takes element \(number) of \(extent)")
  }
  return position
}

/// Where each index of `indices`, which has as many axes as the data, points to in the data.
private func elementPlaces(_ indices: Value, in shape: [Int], axis: Int) throws -> [Int] {
  let strides = Tensor<Float>.strides(of: shape)
  var places: [Int] = []
  places.reserveCapacity(indices.elements.count)
  var position = Array(repeating: 0, count: shape.count)
  for index in indices.elements {
    var offset = try place(index, in: shape[axis]) * strides[axis]
    for other in shape.indices where other != axis { offset += position[other] * strides[other] }
    places.append(offset)
    advance(&position, in: indices.shape)
  }
  return places
}

/// The next position in row-major order.
private func advance(_ position: inout [Int], in shape: [Int]) {
  var axis = shape.count - 1
  while axis >= 0 {
    position[axis] += 1
    if position[axis] < shape[axis] { return }
    position[axis] = 0
    axis -= 1
  }
}

/// The first elements of the blocks that points of `depth` indices name, sample by sample of the batch axes.
private func pointPlaces(_ indices: Value, in shape: [Int], batchAxes: Int) throws -> (places: [Int], block: Int) {
  let depth = indices.shape[indices.shape.count - 1]
  let strides = Tensor<Float>.strides(of: shape)
  let block = shape[(batchAxes + depth)...].reduce(1, *)
  let batches = shape[..<batchAxes].reduce(1, *)
  let points = indices.shape.dropLast().reduce(1, *)
  let sample = shape[batchAxes...].reduce(1, *)
  var places: [Int] = []
  places.reserveCapacity(points)
  for point in 0..<points {
    var offset = points > 0 ? point / max(1, points / max(1, batches)) * sample : 0
    for i in 0..<depth {
      offset += try place(indices.elements[point * depth + i], in: shape[batchAxes + i]) * strides[batchAxes + i]
    }
    places.append(offset)
  }
  return (places, block)
}

/// Operands: data, indices.
struct ElementGathering: Computation {
  let axis: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let places = try elementPlaces(inputs[1], in: data.shape, axis: axis.normalizedAxis(rank: data.shape.count))
    return Value(shape: outputShape, elements: places.map { data.elements[$0] })
  }
}

/// Operands: data, indices.
struct PointGathering: Computation {
  let batchAxes: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let (places, block) = try pointPlaces(inputs[1], in: data.shape, batchAxes: batchAxes)
    return Value(shape: outputShape, elements: places.flatMap { data.elements[$0..<$0 + block] })
  }
}

/// Operands: data, indices, updates.
struct ElementScattering: Computation {
  let axis: Int
  let scattering: Scattering

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let updates = inputs.removeLast()
    let indices = inputs.removeLast()
    var data = inputs.removeLast()
    let places = try elementPlaces(indices, in: data.shape, axis: axis.normalizedAxis(rank: data.shape.count))
    for (place, update) in zip(places, updates.elements) { scattering.apply(update, to: &data.elements[place]) }
    return data
  }
}

/// Operands: data, indices, updates.
struct PointScattering: Computation {
  let scattering: Scattering

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let updates = inputs.removeLast()
    let indices = inputs.removeLast()
    var data = inputs.removeLast()
    let (places, block) = try pointPlaces(indices, in: data.shape, batchAxes: 0)
    guard updates.elements.count == places.count * block else {
      throw Failure("", "cannot be run", "\(updates.elements.count) updates for \(places.count * block) places")
    }
    for (index, place) in places.enumerated() {
      for i in 0..<block { scattering.apply(updates.elements[index * block + i], to: &data.elements[place + i]) }
    }
    return data
  }
}

extension Scattering {
  fileprivate func apply(_ update: Float, to element: inout Float) {
    switch self {
    case .replace: element = update
    case .add: element += update
    case .multiply: element *= update
    case .maximum: element = update > element || update.isNaN ? update : element
    case .minimum: element = update < element || update.isNaN ? update : element
    }
  }
}

/// Operands: data, the count of elements. Of equal elements the first comes first.
struct TopPlaces: Computation {
  let axis: Int
  let largest: Bool
  /// Whether places are wanted, not elements.
  let places: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let axis = axis.normalizedAxis(rank: data.shape.count)
    let (extent, count) = (data.shape[axis], outputShape[axis])
    let inner = data.shape[(axis + 1)...].reduce(1, *)
    var result = Value(zeros: outputShape)
    for outer in 0..<data.shape[..<axis].reduce(1, *) {
      for column in 0..<inner {
        func element(_ place: Int) -> Float { data.elements[(outer * extent + place) * inner + column] }
        let order = (0..<extent).sorted { a, b in
          let (x, y) = (element(a), element(b))
          return x == y ? a < b : largest ? x > y : x < y
        }
        for (index, place) in order.prefix(count).enumerated() {
          result.elements[(outer * count + index) * inner + column] = places ? Float(place) : element(place)
        }
      }
    }
    return result
  }
}

/// Operands: data, for each place of the batch axis how many elements along the other axis come in reverse order.
struct Reversal: Computation {
  let axis: Int
  let batchAxis: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let shape = outputShape
    let (axis, batchAxis) = (axis.normalizedAxis(rank: shape.count), batchAxis.normalizedAxis(rank: shape.count))
    let strides = Tensor<Float>.strides(of: shape)
    let data = inputs[0]
    let lengths = try inputs[1].elements.map { try place($0, in: shape[axis] + 1) }
    var result = data
    for i in data.elements.indices {
      let (place, sample) = (i / strides[axis] % shape[axis], i / strides[batchAxis] % shape[batchAxis])
      guard place < lengths[sample] else { continue }
      result.elements[i] = data.elements[i + (lengths[sample] - 1 - 2 * place) * strides[axis]]
    }
    return result
  }
}

/// Zeros on one side of a diagonal of the last two axes.
struct Triangle: Computation {
  let upper: Bool
  let diagonal: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    let (rows, columns) = (outputShape[outputShape.count - 2], outputShape[outputShape.count - 1])
    var span = value.elements.mutableSpan
    for i in span.indices {
      let distance = i % columns - i / columns % rows
      if upper ? distance < diagonal : distance > diagonal { span[i] = 0 }
    }
    return value
  }
}

/// Sums along an axis, in double precision.
struct CumulativeSum: Computation {
  let axis: Int
  let excludesOwn: Bool
  let fromEnd: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    let axis = axis.normalizedAxis(rank: outputShape.count)
    let (extent, inner) = (outputShape[axis], outputShape[(axis + 1)...].reduce(1, *))
    for outer in 0..<outputShape[..<axis].reduce(1, *) {
      for column in 0..<inner {
        var sum = 0.0
        for step in 0..<extent {
          let place = (outer * extent + (fromEnd ? extent - 1 - step : step)) * inner + column
          let element = Double(value.elements[place])
          if excludesOwn { value.elements[place] = Float(sum) }
          sum += element
          if !excludesOwn { value.elements[place] = Float(sum) }
        }
      }
    }
    return value
  }
}

import Basics
import ModelGraph
import TensorCore

/// Every element of the output from one place of the input, or a constant: for each axis a list of the input's places along it.
struct AxisPlaces {
  /// One list for each axis; -1 stands for the constant.
  let places: [[Int]]
  var constant: Float = 0

  func select(from input: Value) -> Value {
    let shape = places.map(\.count)
    let strides = Tensor<Float>.strides(of: input.shape)
    let count = shape.reduce(1, *)
    guard count > 0 else { return Value(zeros: shape) }
    guard let last = places.last else { return input }
    // Neighbours in order, perhaps between constants, are copied at once.
    let head = last.prefix { $0 < 0 }.count
    let run = last[head...].prefix { $0 >= 0 }
    let isRun =
      run.indices.allSatisfy { last[$0] == last[head] + $0 - head } && last[run.endIndex...].allSatisfy { $0 < 0 }
    let outer = places.dropLast()
    var index = Array(repeating: 0, count: outer.count)
    let source = input.elements.span
    let constant = constant
    let elements = [Float](count: count) { target in
      var to = 0
      while true {
        var from = 0
        var isInside = true
        for axis in index.indices {
          let place = outer[axis][index[axis]]
          if place < 0 { isInside = false } else { from += place * strides[axis] }
        }
        if !isInside {
          for i in 0..<last.count { target[to + i] = constant }
        } else if isRun {
          fillRun(&target, at: to, count: head, with: constant)
          copyRun(source, at: from + (run.first ?? 0), to: &target, at: to + head, count: run.count)
          fillRun(&target, at: to + run.endIndex, count: last.count - run.endIndex, with: constant)
        } else {
          for i in 0..<last.count { target[to + i] = last[i] < 0 ? constant : source[from + last[i]] }
        }
        to += last.count
        var axis = index.count - 1
        while axis >= 0 {
          index[axis] += 1
          if index[axis] < outer[axis].count { break }
          index[axis] = 0
          axis -= 1
        }
        if axis < 0 { return }
      }
    }
    return Value(shape: shape, elements: elements)
  }
}

/// Operands: data, starts, ends, axes, steps.
struct Slicing: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    var places = data.shape.map { Array(0..<$0) }
    for i in inputs[1].elements.indices {
      let axis = inputs.count > 3 ? Int(inputs[3].elements[i]) : i
      let place = axis.normalizedAxis(rank: data.shape.count)
      func bound(_ operand: Int) -> Int {
        Int(clampingTruncated: Double(inputs[operand].elements[i])).required(
          "the output's shape follows from the bounds")
      }
      let step = inputs.count > 4 ? bound(4) : 1
      let bounds = SliceBounds(start: bound(1), end: bound(2), step: step, extent: data.shape[place])
      places[place] = (0..<bounds.count).map { bounds.first + $0 * step }
    }
    return AxisPlaces(places: places).select(from: data)
  }
}

/// Operands: data, then the parts' extents where they are not equal.
struct PartOfAxis: Computation {
  let axis: Int
  let index: Int
  let count: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let place = axis.normalizedAxis(rank: data.shape.count)
    let start =
      inputs.count > 1
      ? inputs[1].elements[..<index].reduce(0) { $0 + Int($1) }
      : index * ((data.shape[place] + count - 1) / count)
    var places = data.shape.map { Array(0..<$0) }
    places[place] = Array(start..<start + outputShape[place])
    return AxisPlaces(places: places).select(from: data)
  }
}

/// Operands: data, indices.
struct Gathering: Computation {
  let axis: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let axis = axis.normalizedAxis(rank: data.shape.count)
    let extent = data.shape[axis]
    var places = data.shape.map { Array(0..<$0) }
    places[axis] = try inputs[1].elements.map { try place($0, in: extent) }
    return AxisPlaces(places: places).select(from: data).reshaped(outputShape)
  }
}

/// Borders in front of all axes, stated or as the second operand (which holds those behind the axes too), or of the axes that the
/// third operand names; negative ones crop.
struct Bordering: Computation {
  var before: [Int]?
  var mode = PaddingMode.constant
  let value: Float

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let before = before ?? stated(inputs)
    let places = data.shape.indices.map { axis in
      (0..<outputShape[axis]).map { source(of: $0 - before[axis], extent: data.shape[axis]) }
    }
    return AxisPlaces(places: places, constant: value).select(from: data)
  }

  private func stated(_ inputs: [Value]) -> [Int] {
    let amounts = inputs[1].elements.map { Int($0) }
    guard inputs.count > 2 else { return amounts }
    var before = Array(repeating: 0, count: inputs[0].shape.count)
    for (axis, amount) in zip(inputs[2].elements, amounts) {
      before[Int(axis).normalizedAxis(rank: before.count)] = amount
    }
    return before
  }

  private func source(of place: Int, extent: Int) -> Int {
    if (0..<extent).contains(place) { return place }
    switch mode {
    case .constant: return -1
    case .edge: return min(max(place, 0), extent - 1)
    case .wrap: return ((place % extent) + extent) % extent
    case .reflect:
      guard extent > 1 else { return 0 }
      let period = 2 * (extent - 1)
      let folded = ((place % period) + period) % period
      return folded < extent ? folded : period - folded
    }
  }
}

struct Expansion: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    return data.reshaped(Array(repeating: 1, count: outputShape.count - data.shape.count) + data.shape)
      .stretched(to: outputShape)
  }
}

struct Tiling: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    return AxisPlaces(places: zip(data.shape, outputShape).map { extent, count in (0..<count).map { $0 % extent } })
      .select(from: data)
  }
}

struct BlockRearrangement: Computation {
  let block: Int
  let columnsFirst: Bool
  let toSpace: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let shape = inputs[0].shape
    if toSpace {
      let channels = outputShape[1]
      let split = columnsFirst ? [channels, block, block] : [block, block, channels]
      let seen = inputs[0].reshaped([shape[0]] + split + [shape[2], shape[3]])
      return seen.permuted(columnsFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]).reshaped(outputShape)
    }
    return inputs[0].reshaped([shape[0], shape[1], outputShape[2], block, outputShape[3], block])
      .permuted([0, 3, 5, 1, 2, 4]).reshaped(outputShape)
  }
}

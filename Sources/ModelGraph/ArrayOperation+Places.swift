import Basics

/// The shapes of operations that take elements from places or put them there.
extension ArrayOperation {
  func aligned(_ data: [Int?], with other: [Int?], _ axis: Int) throws -> [Int?] {
    let place = try other.axis(axis)
    guard place + data.count <= other.count else {
      throw misfit("\(data.text) from axis \(place) of \(other.text) on", "expected fewer axes")
    }
    return data + Array(repeating: 1, count: other.count - place - data.count)
  }

  func elementsGathered(_ data: [Int?], _ indices: [Int?], _ axis: Int) throws -> [Int?] {
    let place = try data.axis(axis)
    guard data.count == indices.count,
      data.indices.allSatisfy({ axis in
        guard axis != place, let extent = data[axis], let count = indices[axis] else { return true }
        return count <= extent
      })
    else { throw misfit("indices of \(indices.text) in \(data.text)", "expected as many axes, none longer") }
    return indices
  }

  func elementsScattered(_ data: [Int?], _ indices: [Int?], _ updates: [Int?], _ axis: Int) throws -> [Int?] {
    _ = try elementsGathered(data, indices, axis)
    guard indices.count == updates.count, zip(indices, updates).allSatisfy({ $0.agrees(with: $1) }) else {
      throw misfit("indices of \(indices.text) and updates of \(updates.text)", "expected equal shapes")
    }
    return data
  }

  /// The shape that indices of points take from the data; nil where the count of axes is open.
  func pointsGathered(_ data: [Int?], _ indices: [Int?], batchAxes: Int) throws -> [Int?]? {
    guard let last = indices.last, batchAxes >= 0, batchAxes < indices.count, batchAxes <= data.count else {
      throw misfit("indices of \(indices.text) in \(data.text)", "expected an axis of indices")
    }
    guard let depth = last else { return nil }
    guard batchAxes + depth <= data.count, zip(data, indices).prefix(batchAxes).allSatisfy({ $0.agrees(with: $1) })
    else { throw misfit("indices of \(indices.text) in \(data.text)", "expected at most an index for each axis") }
    return indices.dropLast() + data[(batchAxes + depth)...]
  }

  func pointsScattered(_ data: [Int?], _ indices: [Int?], _ updates: [Int?]) throws -> [Int?] {
    guard let expected = try pointsGathered(data, indices, batchAxes: 0) else { return data }
    guard expected.count == updates.count, zip(expected, updates).allSatisfy({ $0.agrees(with: $1) }) else {
      throw misfit("updates of \(updates.text)", "expected \(expected.text)")
    }
    return data
  }

  func topShape(_ operands: [KnownValue], _ axis: Int) throws -> [Int?] {
    let shape = operands[0].shape
    let place = try shape.axis(axis)
    let count = operands[1].integers?.first ?? nil
    if let count {
      guard count >= 0, shape[place].map({ count <= $0 }) ?? true else {
        throw misfit("the first \(count) of axis \(place) of \(shape.text)", nil)
      }
    }
    return shape.replacing(place, count)
  }

  func reversed(_ data: [Int?], _ lengths: [Int?], _ axis: Int, _ batchAxis: Int) throws -> [Int?] {
    let places = [try data.axis(axis), try data.axis(batchAxis)]
    guard places[0] != places[1], lengths.count == 1, lengths[0].agrees(with: data[places[1]]) else {
      throw misfit("\(lengths.text) lengths for \(data.text)", "expected one for each sample")
    }
    return data
  }

  func sampled(_ data: [Int?], _ places: [Int?]) throws -> [Int?] {
    guard (3...5).contains(data.count), places.count == data.count, data[0].agrees(with: places[0]),
      places.last.flatMap(\.self).map({ $0 == data.count - 2 }) ?? true
    else {
      throw misfit("\(data.text) at places \(places.text)", "expected a place with an entry for each spatial axis")
    }
    return [data[0] ?? places[0], data[1]] + places[1..<places.count - 1]
  }

  /// The borders of every axis of the data, where they are stated for some axes only.
  static func borders(_ amounts: [Int], axes: [Int]?, rank: Int) throws -> [Int] {
    guard let axes else { return amounts }
    var result = Array(repeating: 0, count: 2 * rank)
    let open = [Int?](repeating: nil, count: rank)
    guard amounts.count == 2 * axes.count, Set(try axes.map { try open.axis($0) }).count == axes.count else {
      throw misfit("borders of \(amounts) for the axes \(axes)", "expected two for each axis")
    }
    for (i, axis) in axes.enumerated() {
      result[try open.axis(axis)] = amounts[i]
      result[try open.axis(axis) + rank] = amounts[i + axes.count]
    }
    return result
  }
}

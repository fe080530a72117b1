import TensorCore

extension Value {
  /// Stretches axes of extent 1 so that the value has `target`'s shape.
  func stretched(to target: [Int]) -> Value {
    guard shape != target else { return self }
    var result = Value(zeros: target)
    result.combine(with: self) { $1 }
    return result
  }

  /// self = function(self, other), where axes of `other` with extent 1 stretch.
  ///
  /// - Precondition: `other` has as many axes, each of the same extent or 1.
  @inline(__always)
  mutating func combine(with other: Value, _ function: (Float, Float) -> Float) {
    precondition(
      shape.count == other.shape.count && zip(shape, other.shape).allSatisfy { $0 == $1 || $1 == 1 },
      "\(other.shape) does not stretch to \(shape)")
    guard !elements.isEmpty else { return }
    let (extents, strides) = Self.merged(shape, other.shape)
    let last = extents.count - 1
    let (run, step) = (extents[last], strides[last])
    var index = Array(repeating: 0, count: extents.count)
    var target = elements.mutableSpan
    let source = other.elements.span
    var from = 0
    for to in stride(from: 0, to: target.count, by: run) {
      if step == 1 {
        for i in 0..<run { target[to + i] = function(target[to + i], source[from + i]) }
      } else {
        let constant = source[from]
        for i in 0..<run { target[to + i] = function(target[to + i], constant) }
      }
      var axis = last - 1
      while axis >= 0 {
        index[axis] += 1
        from += strides[axis]
        if index[axis] < extents[axis] { break }
        from -= strides[axis] * extents[axis]
        index[axis] = 0
        axis -= 1
      }
    }
  }

  /// The extents of `shape` with neighbours merged, and for each the stride of a value with shape `other` (0 where it
  /// stretches). There is at least one axis, and the last has stride 0 or 1.
  private static func merged(_ shape: [Int], _ other: [Int]) -> (extents: [Int], strides: [Int]) {
    let own = Tensor<Float>.strides(of: other)
    var extents: [Int] = []
    var strides: [Int] = []
    for axis in shape.indices where shape[axis] != 1 {
      let stride = other[axis] == 1 ? 0 : own[axis]
      if let outer = strides.last, outer == stride * shape[axis] {
        extents[extents.count - 1] *= shape[axis]
        strides[strides.count - 1] = stride
      } else {
        extents.append(shape[axis])
        strides.append(stride)
      }
    }
    return extents.isEmpty ? ([1], [0]) : (extents, strides)
  }
}

import TensorCore

/// The grid of a weight that a file stores as integers: its width, and a scale for each output channel.
package struct IntegerGrid: Sendable, Equatable {
  /// The bits of an integer.
  package let width: BitWidth
  /// One for each output channel.
  package let scales: [Float]
  /// The axis of the tensor, as the checkpoint has it, that counts the output channels.
  package let axis: Int

  /// Makes a grid of its parts.
  package init(width: BitWidth, scales: [Float], axis: Int) {
    self.width = width
    self.scales = scales
    self.axis = axis
  }

  /// The nearest places of the grid as numbers.
  ///
  /// - Parameter axis: that counts the output channels in `values`.
  /// - Precondition: that axis has a scale for each of its values.
  package func rounded(_ values: Tensor<Float>, axis: Int) -> Tensor<Float> {
    let integers = integers(values, axis: axis)
    let place = channels(values.shape, axis: axis)
    return Tensor(
      shape: values.shape, elements: integers.indices.map { scales[place($0)] * Float(integers[$0]) })
  }

  /// The same as integers.
  package func integers(_ values: Tensor<Float>, axis: Int) -> [Int8] {
    precondition(values.shape[axis] == scales.count, "\(scales.count) scales for an axis of \(values.shape[axis])")
    let place = channels(values.shape, axis: axis)
    let limit = Float(width.largest)
    return values.elements.enumerated().map { index, value in
      let integer = (value / scales[place(index)]).rounded(.toNearestOrEven)
      return integer.isNaN ? 0 : Int8(max(-limit, min(limit, integer)))
    }
  }

  /// Gradients with respect to numbers before they are rounded: that of the rounded number where it lies within the grid, nothing beyond
  /// (Bengio, Léonard and Courville's straight-through estimator, 2013).
  package func passed(_ gradient: Tensor<Float>, at values: Tensor<Float>, axis: Int) -> Tensor<Float> {
    let place = channels(values.shape, axis: axis)
    let limit = Float(width.largest) + 0.5
    return Tensor(
      shape: gradient.shape,
      elements: gradient.elements.indices.map {
        abs(values.elements[$0]) <= limit * scales[place($0)] ? gradient.elements[$0] : 0
      })
  }

  /// The channel of an element by its position.
  private func channels(_ shape: [Int], axis: Int) -> (Int) -> Int {
    let (inner, extent) = (max(1, shape[(axis + 1)...].reduce(1, *)), max(1, shape[axis]))
    return { $0 / inner % extent }
  }
}

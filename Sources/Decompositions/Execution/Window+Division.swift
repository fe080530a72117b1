import ModelGraph

extension Window {
  /// The windows of convolutions that, run one after the other, together see what this window sees.
  ///
  /// A convolution's dilation is the layer's times the extents of the less significant digits. On an axis where one convolution
  /// alone has an extent, that one takes stride and padding; where none has, the first does. Where several have, the
  /// first of them pads for all, with stated amounts, and the last takes the stride: zeros stay zeros, as there is no
  /// bias in between.
  ///
  /// - Parameters:
  ///   - extents: the spatial extents of the convolutions, in the order in which they run.
  ///   - significance: for each convolution and axis, how far apart the digit's values stand: the product of the extents of
  ///     all less significant digits.
  /// - Returns: nil where an axis with several extents has a padding that depends on the input's extent.
  func divided(among extents: [[Int]], significance: [[Int]]) -> [Window]? {
    let axes = stride.indices
    let owners = axes.map { axis in extents.indices.filter { extents[$0][axis] > 1 } }
    let isSplit = owners.contains { $0.count > 1 }
    let total = axes.map { axis in extents.reduce(1) { $0 * $1[axis] } }
    guard let padding = isSplit ? statedPadding(kernel: total) : padding else { return nil }
    return extents.indices.map { step in
      var window = Window.unit(axes.count)
      var (before, after) = (stride.map { _ in 0 }, stride.map { _ in 0 })
      var pads = false
      for axis in axes {
        let (first, last) = (owners[axis].first ?? 0, owners[axis].last ?? 0)
        window.dilation[axis] = dilation[axis] * significance[step][axis]
        if step == last { window.stride[axis] = stride[axis] }
        guard step == first else { continue }
        pads = true
        if case .explicit(let allBefore, let allAfter) = padding {
          (before[axis], after[axis]) = (allBefore[axis], allAfter[axis])
        }
      }
      for axis in axes where extents[step][axis] == 1 { window.dilation[axis] = 1 }
      if case .explicit = padding {
        let isZero = (before + after).allSatisfy { $0 == 0 }
        window.padding = isZero ? .valid : .explicit(before: before, after: after)
      } else if pads {
        window.padding = padding
      }
      return window
    }
  }

  /// The padding as amounts, or nil where these depend on the input's extent.
  private func statedPadding(kernel: [Int]) -> Padding? {
    switch padding {
    case .valid, .explicit: return padding
    case .causal: break
    case .same, .sameLower:
      // With stride 1 the amounts are the same for every input; an extent of 1 needs none at any stride.
      guard stride.indices.allSatisfy({ stride[$0] == 1 || kernel[$0] == 1 }) else { return nil }
    }
    let amounts = kernel.indices.map { axis in
      padding.amounts(axis: axis, input: 1, kernel: kernel[axis], stride: 1, dilation: dilation[axis])
    }
    return .explicit(before: amounts.map(\.before), after: amounts.map(\.after))
  }
}

import Basics

extension Window {
  /// Refuses what would overflow or divide by zero later: windows come from files.
  ///
  /// - Throws: `Failure` with an empty subject.
  package func check(kernel: [Int]) throws {
    let limit = 1...Int(Int32.max)
    var borders: [Int] = []
    if case .explicit(let before, let after) = padding {
      borders = before + after
      guard before.count == kernel.count, after.count == kernel.count else {
        throw misfit("its padding has other axes than its kernel \(kernel)", nil)
      }
    }
    guard stride.count == kernel.count, dilation.count == kernel.count,
      (kernel + stride + dilation).allSatisfy(limit.contains),
      borders.allSatisfy({ $0 >= 0 && $0 <= limit.upperBound })
    else {
      throw misfit(
        "kernel \(kernel), stride \(stride), dilation \(dilation)", "expected positive numbers, one for each axis")
    }
    guard zip(kernel, dilation).allSatisfy({ ($0 - 1).multipliedReportingOverflow(by: $1).overflow == false }) else {
      throw misfit("kernel \(kernel) with dilation \(dilation)", "expected smaller numbers")
    }
  }

  /// The input's shape with the spatial extents and the channels of the output.
  fileprivate func outputShape(
    of input: [Int?], kernel: [Int], channels: Int?, _ layout: ChannelLayout
  ) throws -> [Int?] {
    try input.checkRank(kernel.count)
    try check(kernel: kernel)
    var result = input
    if let channels { result[layout.channelAxis(rank: input.count)] = channels }
    for (axis, place) in layout.spatialAxes(rank: input.count).enumerated() {
      guard let extent = input[place] else { continue }
      let output = outputExtent(axis: axis, input: extent, kernel: kernel[axis])
      guard output > 0 else {
        throw misfit("\(extent) entries on spatial axis \(axis)", "expected enough for its window")
      }
      result[place] = output
    }
    return result
  }
}

extension Convolution {
  /// The output's shape. A linear layer has any number of axes before that of its channels.
  ///
  /// - Throws: `Failure` with an empty subject when the convolution does not fit the input.
  func outputShape(of input: [Int?], _ layout: ChannelLayout) throws -> [Int?] {
    try input.check(channels: inputChannels, channelLayout(layout))
    guard spatialOrder > 0 else {
      return input.replacing(channelAxis(layout, rank: input.count), outputChannels)
    }
    return try window.outputShape(of: input, kernel: spatialExtents, channels: outputChannels, layout)
  }
}

extension Convolution {
  /// The output extents for these input extents; 0 where the window does not fit.
  public func outputExtents(input: [Int]) -> [Int] {
    input.indices.map { outputExtent(axis: $0, input: input[$0]) }
  }

  /// The output extent on one spatial axis; 0 where the window does not fit.
  public func outputExtent(axis: Int, input: Int) -> Int {
    guard transposition != nil else {
      return window.outputExtent(axis: axis, input: input, kernel: kernelShape[axis + 2])
    }
    let transposed = TransposedConvolution(self, layout: .channelsFirst, kernel: TensorReference(""), bias: nil)
    return transposed.outputExtent(axis: axis, input: input) ?? 0
  }
}

extension Pooling {
  func outputShape(of input: [Int?]) throws -> [Int?] {
    var shape = try window.outputShape(of: input, kernel: extents, channels: nil, layout)
    guard roundsUp else { return shape }
    for (axis, place) in layout.spatialAxes(rank: input.count).enumerated() {
      guard let extent = input[place], let outputs = shape[place] else { continue }
      let (stride, dilation) = (window.stride[axis], window.dilation[axis])
      let (before, after) = window.padding.amounts(
        axis: axis, input: extent, kernel: extents[axis], stride: stride, dilation: dilation)
      let room = extent + before + after - (extents[axis] - 1) * dilation - 1
      if room % stride > 0, outputs * stride < extent + before { shape[place] = outputs + 1 }
    }
    return shape
  }
}

extension Pooling {
  /// The cells of a window along one spatial axis that lie in the input or its border.
  ///
  /// - Parameters:
  ///   - axis: of the spatial axes.
  ///   - place: of the window in the output.
  ///   - input: The input's extent.
  public func countedCells(axis: Int, place: Int, input: Int) -> Int {
    let (stride, dilation) = (window.stride[axis], window.dilation[axis])
    let (before, after) = window.padding.amounts(
      axis: axis, input: input, kernel: extents[axis], stride: stride, dilation: dilation)
    let room = input + before + after - place * stride
    return max(1, min(extents[axis], (room + dilation - 1) / dilation))
  }
}

extension TransposedConvolution {
  /// The taps along each spatial axis.
  public var spatialExtents: [Int] { Array(kernelShape.dropFirst(2)) }
  /// The channels that the layer makes, over all groups.
  public var outputChannels: Int { kernelShape[1] * groups }

  func outputShape(of input: [Int?]) throws -> [Int?] {
    guard kernelShape.count >= 3, groups >= 1, kernelShape[0] % groups == 0 else {
      throw misfit("\(groups) groups do not divide the kernel \(kernelShape)", nil)
    }
    try input.checkRank(kernelShape.count - 2)
    try input.check(channels: kernelShape[0], layout)
    try window.check(kernel: spatialExtents)
    if let outputPadding, outputPadding.count != spatialExtents.count || outputPadding.contains(where: { $0 < 0 }) {
      throw misfit("output padding \(outputPadding)", "expected one number for each spatial axis")
    }
    if let outputExtents, outputExtents.count != spatialExtents.count {
      throw misfit("output extents \(outputExtents)", "expected one for each spatial axis")
    }
    var result = input.replacing(layout.channelAxis(rank: input.count), outputChannels)
    for (axis, place) in layout.spatialAxes(rank: input.count).enumerated() {
      if let outputExtents {
        result[place] = outputExtents[axis]
        continue
      }
      guard let extent = input[place] else { continue }
      guard let output = outputExtent(axis: axis, input: extent), output > 0 else {
        throw misfit("\(extent) entries on spatial axis \(axis)", "expected an output that is not empty")
      }
      result[place] = output
    }
    return result
  }

  /// How the window of the convolution whose gradient this is moves over an output of stated extents.
  ///
  /// - Parameter input: The spatial extents of this layer's input.
  public func window(input: [Int]) -> Window {
    guard let outputExtents else { return window }
    let cut = input.indices.map { axis in
      let reach = (spatialExtents[axis] - 1) * window.dilation[axis] + 1
      return max(0, (input[axis] - 1) * window.stride[axis] + reach + (outputPadding?[axis] ?? 0) - outputExtents[axis])
    }
    let before = cut.map { window.padding == .same ? $0 / 2 : $0 - $0 / 2 }
    return Window(
      stride: window.stride, dilation: window.dilation,
      padding: .explicit(before: before, after: zip(cut, before).map(-)))
  }

  /// The output extent on one spatial axis, or nil where it overflows.
  ///
  /// The convolution whose gradient this is maps that many entries to `input` ones.
  fileprivate func outputExtent(axis: Int, input: Int) -> Int? {
    let stride = window.stride[axis]
    let reach = (spatialExtents[axis] - 1) * window.dilation[axis] + 1
    let (steps, overflow) = max(0, input - 1).multipliedReportingOverflow(by: stride)
    guard input > 0, !overflow, reach < .max / 4, steps < .max / 4 else { return nil }
    let extra = outputPadding?[axis]
    switch window.padding {
    case .valid, .causal: return steps + (extra.map { reach + $0 } ?? max(reach, stride))
    case .same, .sameLower: return steps + (extra.map { reach % 2 + $0 } ?? stride)
    case .explicit(let before, let after): return steps + reach + (extra ?? 0) - before[axis] - after[axis]
    }
  }
}

extension Merge {
  func outputShape(of inputs: [[Int?]]) throws -> [Int?] {
    guard let first = inputs.first, inputs.allSatisfy({ !$0.isEmpty }) else {
      throw misfit("it has no input with a batch axis", nil)
    }
    switch self {
    case .concatenate(let axis):
      let axis = try first.axis(axis)
      var total: Int? = 0
      for input in inputs {
        guard input.count == first.count,
          input.indices.allSatisfy({ $0 == axis || input[$0].agrees(with: first[$0]) })
        else { throw misfit("\(first.text) and \(input.text) cannot be joined along axis \(axis)", nil) }
        total = input[axis].flatMap { extent in total.map { $0 + extent } }
      }
      return first.replacing(axis, total)
    case .dot(let axes, _):
      guard inputs.count == 2, axes.count == 2 else { throw misfit("\(inputs.count) inputs", "expected 2") }
      let places = [try first.axis(axes[0]), try inputs[1].axis(axes[1])]
      guard places.allSatisfy({ $0 > 0 }), first[places[0]].agrees(with: inputs[1][places[1]]) else {
        throw misfit("axes \(axes) of \(first.text) and \(inputs[1].text) differ", "expected equal extents")
      }
      var result = first
      result.remove(at: places[0])
      var second = inputs[1]
      second.remove(at: places[1])
      result += second.dropFirst()
      return result.count == 1 ? result + [1] : result
    case .subtract where inputs.count != 2:
      throw misfit("\(inputs.count) inputs", "expected 2")
    case .add, .subtract, .multiply, .average, .maximum, .minimum:
      return try inputs.dropFirst().reduce(first) { try Self.broadcast($0, $1) }
    }
  }

  /// The common shape of two values: aligned at the batch and, after it, from the right, with 1 stretching (Keras).
  static func broadcast(_ a: [Int?], _ b: [Int?]) throws -> [Int?] {
    let rank = max(a.count, b.count)
    func stretched(_ shape: [Int?]) -> [Int?] {
      [shape[0]] + Array(repeating: 1, count: rank - shape.count) + shape.dropFirst()
    }
    return try zip(stretched(a), stretched(b)).map { x, y in
      if x == 1 { return y }
      if y == 1 { return x }
      guard x.agrees(with: y) else {
        throw misfit("\(a.text) and \(b.text) differ", "expected equal shapes, or 1 where they differ")
      }
      return x ?? y
    }
  }
}

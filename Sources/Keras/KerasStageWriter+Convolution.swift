import Basics
import KerasLayers
import ModelGraph

extension KerasStageWriter {
  /// Writes one convolution.
  mutating func write(_ convolution: Convolution, _ factor: Int) throws(KerasRefusal) {
    precondition(convolution.inputChannels == channels, "\(convolution) does not take \(channels) channels")
    if convolution.transposition != nil { return try writeTransposed(convolution, factor) }
    var convolution = convolution
    guard convolution.window.stride.contains(where: { $0 > 1 }), !convolution.canStride else {
      return try writeUnfolded(convolution, factor)
    }
    // At full resolution, of which every stride-th element is kept.
    let stride = convolution.window.stride
    let (before, after) = try amounts(convolution)
    let isPointwise = stride.indices.allSatisfy { axis in
      stride[axis] == 1 || convolution.spatialExtents[axis] == 1 && before[axis] == 0 && after[axis] == 0
    }
    convolution.window.padding = .explicit(before: before, after: after)
    convolution.window.stride = stride.map { _ in 1 }
    if isPointwise { try subsample(stride) }
    try writeUnfolded(convolution, factor)
    if !isPointwise { try subsample(stride) }
  }

  /// Writes a transposed convolution, which Keras has without groups.
  private mutating func writeTransposed(_ convolution: Convolution, _ factor: Int) throws(KerasRefusal) {
    let (order, window) = (convolution.spatialOrder, convolution.window)
    guard convolution.groups == 1 else {
      throw KerasRefusal(reason: "Keras has no transposed convolution with groups")
    }
    let padding: String
    switch window.padding {
    case .valid: padding = "valid"
    case .same: padding = "same"
    case .causal, .sameLower, .explicit:
      throw KerasRefusal(reason: "Keras has no such padding for transposed convolutions")
    }
    let extents = try knownExtents()
    let outputs = extents.enumerated().map { axis, extent in
      extent.map { convolution.outputExtent(axis: axis, input: $0) }
    }
    set(extents: outputs, channels: convolution.outputChannels)
    var settings = Self.convolution(kernel: convolution.spatialExtents, window, padding, layout)
    settings["filters"] = .integer(convolution.outputChannels)
    settings["use_bias"] = false
    if let amounts = convolution.transposition?.outputPadding { settings["output_padding"] = .integers(amounts) }
    let content = KerasPart.Weight.Content.factor(
      index: factor, shape: convolution.kernelShape, order: Array(2..<order + 2) + [0, 1])
    add("Conv\(order)DTranspose", settings, weights: [KerasPart.Weight(name: "kernel", content: content)])
    markBiasHolder()
  }

  /// The padding of a convolution on every axis of the current value.
  private func amounts(_ convolution: Convolution) throws(KerasRefusal) -> (before: [Int], after: [Int]) {
    let (window, extents) = (convolution.window, try knownExtents())
    var (before, after): ([Int], [Int]) = ([], [])
    for axis in window.stride.indices {
      let kernel = convolution.spatialExtents[axis]
      let dependsOnInput =
        (window.padding == .same || window.padding == .sameLower) && window.stride[axis] > 1 && kernel > 1
      guard extents[axis] != nil || !dependsOnInput else {
        throw KerasRefusal(reason: "the extents of its input are not fixed, and its padding depends on them")
      }
      let amounts = window.padding.amounts(
        axis: axis, input: extents[axis] ?? 1, kernel: kernel, stride: window.stride[axis],
        dilation: window.dilation[axis])
      before.append(amounts.before)
      after.append(amounts.after)
    }
    return (before, after)
  }

  private mutating func subsample(_ stride: [Int]) throws(KerasRefusal) {
    let extents = try knownExtents()
    set(
      extents: zip(extents, stride).map { extent, stride in extent.map { ($0 - 1) / stride + 1 } },
      channels: channels)
    add(
      "MaxPooling\(stride.count)D",
      [
        "pool_size": .integers(stride.map { _ in 1 }), "strides": .integers(stride), "padding": "valid",
        "data_format": .string(layout.rawValue),
      ])
  }

  /// Folds the batch of a convolution without stride, if it has one, into the last axis.
  private mutating func writeUnfolded(_ convolution: Convolution, _ factor: Int) throws(KerasRefusal) {
    let batch = convolution.batch
    guard batch > 1 else {
      try writeDirectly(convolution, factor)
      return markBiasHolder()
    }
    clearBiasHolder()
    var folded = convolution
    folded.batch = 1
    let inputs = folded.inputChannels
    var extents = try knownExtents()
    if extents.isEmpty {
      try reshape([batch, inputs], then: [batch], inputs)
      try writeDirectly(folded, factor)
      return try reshape([channels * batch], then: [], channels * batch)
    }
    let last = extents.count - 1
    if convolution.spatialOrder > 0 {
      var (before, after) = try amounts(convolution)
      before[last] *= batch
      after[last] *= batch
      folded.window.padding = .explicit(before: before, after: after)
      folded.window.dilation[last] *= batch
    }
    extents[last] = try Self.product([extents[last], batch])
    try reshape(extents + [inputs], then: extents, inputs)
    try writeDirectly(folded, factor)
    var unfolded = try knownExtents()
    unfolded[last] = unfolded[last].map { $0 / batch }
    try reshape(unfolded + [channels * batch], then: unfolded, channels * batch)
  }

  /// Writes a convolution that Keras has.
  private mutating func writeDirectly(_ convolution: Convolution, _ factor: Int) throws(KerasRefusal) {
    let (kernel, shape, order) = (convolution.spatialExtents, convolution.kernelShape, convolution.spatialOrder)
    guard order > 0 || convolution.groups > 1 else {
      set(channels: shape[0])
      let content = KerasPart.Weight.Content.factor(index: factor, shape: shape, order: [1, 0])
      return add(
        "Dense", ["units": .integer(shape[0]), "activation": "linear", "use_bias": false],
        weights: [KerasPart.Weight(name: "kernel", content: content)])
    }
    guard order > 0 else { return try writeGroupedLinear(convolution, factor) }
    let padding = try writePadding(convolution)
    var window = convolution.window
    window.padding = padding == "same" ? .same : padding == "causal" ? .causal : .valid
    let extents = try knownExtents().enumerated().map { axis, extent in
      extent.map { window.outputExtent(axis: axis, input: $0, kernel: kernel[axis]) }
    }
    set(extents: extents, channels: convolution.outputChannels)
    var settings = Self.convolution(kernel: kernel, window, padding, layout)
    settings["use_bias"] = false
    let spatial = Array(2..<order + 2)
    if convolution.isDepthwise {
      let multiplier = shape[0] / convolution.groups
      settings["depth_multiplier"] = .integer(multiplier)
      let content = KerasPart.Weight.Content.factor(
        index: factor, shape: [convolution.groups, multiplier] + kernel, order: spatial + [0, 1])
      add("DepthwiseConv\(order)D", settings, weights: [KerasPart.Weight(name: "depthwise_kernel", content: content)])
    } else {
      settings["filters"] = .integer(shape[0])
      if convolution.groups > 1 { settings["groups"] = .integer(convolution.groups) }
      let content = KerasPart.Weight.Content.factor(index: factor, shape: shape, order: spatial + [1, 0])
      add("Conv\(order)D", settings, weights: [KerasPart.Weight(name: "kernel", content: content)])
    }
  }

  /// Writes a linear stage with groups as a convolution over one axis, for Dense has none.
  private mutating func writeGroupedLinear(_ convolution: Convolution, _ factor: Int) throws(KerasRefusal) {
    let extents = try knownExtents()
    let positions = try Self.product(extents)
    if extents.count != 1 { try reshape([positions, channels], then: [positions], channels) }
    try writeDirectly(
      Convolution(kernelShape: convolution.kernelShape + [1], groups: convolution.groups, window: .unit(1)), factor)
    if extents.count != 1 { try reshape(extents + [channels], then: extents, channels) }
  }

  /// Adds the border that the padding of a convolution cannot say, and returns the padding that is left to say.
  private mutating func writePadding(_ convolution: Convolution) throws(KerasRefusal) -> String {
    let (window, kernel) = (convolution.window, convolution.spatialExtents)
    switch window.padding {
    case .valid: return "valid"
    case .same: return "same"
    case .causal where kernel.count == 1 && !convolution.isDepthwise: return "causal"
    case .causal, .sameLower, .explicit: break
    }
    let (before, after) = try amounts(convolution)
    if (before + after).allSatisfy({ $0 == 0 }) { return "valid" }
    let isSame = window.stride.indices.allSatisfy { axis in
      let total = (kernel[axis] - 1) * window.dilation[axis]
      return window.stride[axis] == 1 && before[axis] == total / 2 && after[axis] == total - total / 2
    }
    if isSame { return "same" }
    let padded = zip(try knownExtents(), zip(before, after)).map { extent, border in
      extent.map { $0 + border.0 + border.1 }
    }
    set(extents: padded, channels: channels)
    let pairs = zip(before, after).map { JSON.integers([$0, $1]) }
    if pairs.count == 1 {
      add("ZeroPadding1D", ["padding": pairs[0]])
    } else {
      add(
        "ZeroPadding\(pairs.count)D",
        ["padding": .array(pairs), "data_format": .string(layout.rawValue)])
    }
    return "valid"
  }

  /// The settings that all convolutions share.
  static func convolution(
    kernel: [Int], _ window: Window, _ padding: String, _ layout: ChannelLayout
  ) -> JSONObject {
    [
      "kernel_size": .integers(kernel), "strides": .integers(window.stride), "padding": .string(padding),
      "data_format": .string(layout.rawValue), "dilation_rate": .integers(window.dilation),
      "activation": "linear",
    ]
  }
}

extension Convolution {
  /// Whether Keras has a layer of its own for it: others, grouped, do not run on every processor.
  fileprivate var isDepthwise: Bool {
    groups > 1 && kernelShape[1] == 1 && (1...2).contains(spatialOrder)
  }

  /// Whether a layer of Keras can take its stride: it must not be dilated as well, and a depthwise one has the same stride on
  /// both axes.
  fileprivate var canStride: Bool {
    batch == 1 && window.dilation.allSatisfy { $0 == 1 }
      && (!isDepthwise || Set(window.stride).count == 1)
  }
}

extension JSON {
  /// Whether an `activation` is none.
  var isLinearActivation: Bool {
    isNull || string == "linear" || self["config"]?.string == "linear"
  }
}

extension String {
  func replacingPrefix(_ prefix: String, by replacement: String) -> String {
    hasPrefix(prefix) ? replacement + dropFirst(prefix.count) : self
  }
}

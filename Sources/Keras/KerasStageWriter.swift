import Basics
import KerasLayers
import ModelGraph
import TensorCore

/// Writes the stages of one layer as stock layers of Keras.
///
/// Keras has no channel axis with an outer part that shares its weight, so a batched stage folds that part into the last
/// spatial axis: (height, width, batch x in) is the same memory as (height, width x batch, in), and a convolution over it
/// with its dilation on that axis times the batch meets every copy's own elements only.
struct KerasStageWriter {
  private let original: KerasLayer
  private let layer: Layer
  /// Where the parts being written keep their channels.
  private(set) var layout: ChannelLayout
  /// Of the current value: the axes beside batch and channels, nil where not even their number is known.
  private(set) var extents: [Int?]?
  private(set) var channels: Int
  private(set) var parts: [KerasPart] = []
  /// The part that computes the convolution right before the next stage and can take up a bias.
  private var biasHolder: Int?

  /// - Parameter inputShapes: Of every use of the layer, as in `KerasGraph.Architecture`.
  private init(_ original: KerasLayer, _ layer: Layer, inputShapes: [[Int?]?]) throws(KerasRefusal) {
    self.original = original
    self.layer = layer
    let order = layer.convolution.spatialOrder
    let layout = order == 0 ? ChannelLayout.channelsLast : (try? original.layout()) ?? .channelsLast
    self.layout = layout
    channels = layer.convolution.inputChannels
    let uses = inputShapes.map { shape in
      shape.map { shape in layout.spatialAxes(rank: shape.count).map { shape[$0] } }
    }
    guard let first = uses.first, let first, !uses.contains(where: { $0?.count != first.count }) else {
      extents = order == 0 ? nil : Array(repeating: nil, count: order)
      return
    }
    guard order == 0 || first.count == order else {
      throw KerasRefusal(reason: "its input has \(first.count + 2) axes")
    }
    extents = first.indices.map { axis in
      uses.allSatisfy { $0?[axis] == first[axis] } ? first[axis] : nil
    }
  }

  /// The layers that compute the stages in place of the layer, its activation included.
  ///
  /// - Throws: `KerasRefusal` where stock layers cannot express them.
  static func parts(
    of stages: [Stage], for layer: Layer, original: KerasLayer, inputShapes: [[Int?]?]
  ) throws(KerasRefusal) -> [KerasPart] {
    var writer = try KerasStageWriter(original, layer, inputShapes: inputShapes)
    try writer.write(stages)
    return writer.parts
  }

  private mutating func write(_ stages: [Stage]) throws(KerasRefusal) {
    if original.entry.className.hasPrefix("Separable") { try addDepthwiseHalf() }
    let turnsLayout = layout == .channelsFirst && !Self.keepsLayout(stages)
    if turnsLayout { try turn(to: .channelsLast) }
    var factor = 0
    for stage in stages {
      switch stage {
      case .convolution(let convolution):
        try write(convolution, factor)
        factor += 1
      case .permutation(let axes, let order):
        try permute(axes, order)
        biasHolder = nil
      case .bias:
        try addBias()
        biasHolder = nil
      }
    }
    if turnsLayout { try turn(to: .channelsFirst) }
    addActivation()
    if parts.isEmpty { add("Activation", ["activation": "linear"]) }
  }

  /// Whether all stages have a layer that works with channels first.
  private static func keepsLayout(_ stages: [Stage]) -> Bool {
    for (index, stage) in stages.enumerated() {
      switch stage {
      case .permutation: return false
      case .bias:
        guard index > 0, case .convolution(let before) = stages[index - 1], before.batch == 1 else { return false }
      case .convolution(let convolution):
        // ZeroPadding1D knows channels last only.
        let mayPad = convolution.spatialOrder == 1 && convolution.window.padding != .valid
        if convolution.batch > 1 || mayPad { return false }
      }
    }
    return true
  }

  // MARK: Parts

  /// The shape of the current value with these channels.
  private var shape: [Int?] {
    let extents = extents ?? []
    return layout == .channelsLast ? [nil] + extents + [channels] : [nil, channels] + extents
  }

  /// Adds a part whose result is the current value: set `extents`, `channels` and `layout` first.
  mutating func add(_ className: String, _ settings: JSONObject, weights: [KerasPart.Weight] = []) {
    parts.append(
      KerasPart(className: className, settings: settings, weights: weights, outputShape: shape))
  }

  /// Remembers that the last part can take up a bias.
  mutating func markBiasHolder() { biasHolder = parts.count - 1 }
  mutating func clearBiasHolder() { biasHolder = nil }

  mutating func set(extents: [Int?], channels: Int) {
    self.extents = extents
    self.channels = channels
  }

  mutating func set(channels: Int) { self.channels = channels }

  /// Sees the elements as these axes; right after another reshaping only the last one counts.
  mutating func reshape(_ axes: [Int?], then extents: [Int?], _ channels: Int) throws(KerasRefusal) {
    guard axes.count(where: { $0 == nil }) <= 1 else {
      throw KerasRefusal(reason: "the extents of its input are not fixed, and Keras can infer only one of them")
    }
    set(extents: extents, channels: channels)
    if parts.last?.className == "Reshape" { parts.removeLast() }
    add("Reshape", ["target_shape": .integers(axes.map { $0 ?? -1 })])
    parts[parts.count - 1].outputShape = [nil] + axes
  }

  /// The axes beside batch and channels.
  func knownExtents() throws(KerasRefusal) -> [Int?] {
    guard let extents else { throw KerasRefusal(reason: "the shape of its input is unknown") }
    return extents
  }

  /// The product of extents, nil where one is unknown.
  static func product(_ extents: [Int?]) throws(KerasRefusal) -> Int? {
    let known = extents.compactMap(\.self)
    guard known.count == extents.count else { return nil }
    guard let product = known.productIfExact else { throw KerasRefusal(reason: "its input is too large") }
    return product
  }

  private mutating func turn(to target: ChannelLayout) throws(KerasRefusal) {
    let order = try knownExtents().count
    layout = target
    let dimensions = target == .channelsLast ? Array(2..<order + 2) + [1] : [order + 1] + Array(1..<order + 1)
    add("Permute", ["dims": .integers(dimensions)])
  }

  // MARK: Permutation, bias, activation

  private mutating func permute(_ axes: [Int], _ order: [Int]) throws(KerasRefusal) {
    let extents = try knownExtents()
    let outer: [Int?] = extents.isEmpty ? [] : [try Self.product(extents)]
    try reshape(outer + axes, then: extents, channels)
    add("Permute", ["dims": .integers(Array(1..<outer.count + 1) + order.map { $0 + 1 + outer.count })])
    parts[parts.count - 1].outputShape = [nil] + outer + order.map { axes[$0] }
    try reshape(extents + [channels], then: extents, channels)
  }

  private mutating func addBias() throws(KerasRefusal) {
    guard let reference = layer.bias, let bias = original.weights["bias"] else {
      preconditionFailure("stages of '\(layer.name)' have a bias and the layer has none")
    }
    precondition(bias.name == reference.name, "'\(reference.name)' is not the bias of '\(layer.name)'")
    let weight = KerasPart.Weight(name: "bias", content: .original(bias))
    if let biasHolder {
      parts[biasHolder].settings["use_bias"] = true
      parts[biasHolder].weights.append(weight)
      return
    }
    // No stock layer adds a bias alone. DepthwiseConv2D is the one that every version has.
    let extents = try knownExtents()
    let plane: [Int?] =
      switch extents.count {
      case 0: [1, 1]
      case 1: [1] + extents
      case 2: extents
      default: [extents[0], try Self.product(Array(extents.dropFirst()))]
      }
    if extents.count != 2 { try reshape(plane + [channels], then: plane, channels) }
    var settings = Self.convolution(kernel: [1, 1], .unit(2), "valid", layout)
    settings["depth_multiplier"] = 1
    settings["use_bias"] = true
    add(
      "DepthwiseConv2D", settings,
      weights: [
        KerasPart.Weight(name: "depthwise_kernel", content: .ones(shape: [1, 1, channels, 1])), weight,
      ])
    if extents.count != 2 { try reshape(extents + [channels], then: extents, channels) }
  }

  private mutating func addActivation() {
    guard let activation = original.value("activation"), !activation.isLinearActivation else { return }
    if parts.last?.settings["activation"] != nil {
      parts[parts.count - 1].settings["activation"] = activation
    } else {
      add("Activation", ["activation": activation])
    }
  }

  /// The first half of a separable convolution, which stays as it is.
  private mutating func addDepthwiseHalf() throws(KerasRefusal) {
    guard let kernel = original.weights["depthwise_kernel"] else {
      preconditionFailure("'\(layer.name)' has no depthwise kernel")
    }
    guard (try? original.padding()) != .causal else {
      throw KerasRefusal(reason: "DepthwiseConv1D has no causal padding")
    }
    var settings = JSONObject()
    for key in ["kernel_size", "strides", "padding", "depth_multiplier", "data_format", "dilation_rate"] {
      settings[key] = original.value(key)
    }
    settings["activation"] = "linear"
    settings["use_bias"] = false
    add(
      original.entry.className.replacingPrefix("Separable", by: "Depthwise"), settings,
      weights: [KerasPart.Weight(name: "depthwise_kernel", content: .original(kernel))])
  }
}

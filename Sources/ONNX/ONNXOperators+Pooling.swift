import ModelGraph
import TensorCore

/// Pooling.
extension ONNXOperators {
  static let pooling: [String: Converter] = [
    "MaxPool": { conversion in
      guard let pooling = try window(.maximum, conversion) else { return }
      let input = [try conversion.operand(0)]
      if let indices = conversion.output(1) {
        let isColumnMajor = conversion.node.int("storage_order", default: 0) != 0
        conversion.emit(indices, .array(.maximumPlace(pooling, columnsFirst: isColumnMajor)), input)
      }
      conversion.emit(.pooling(pooling), input)
    },
    "AveragePool": { conversion in
      guard let pooling = try window(.average, conversion) else { return }
      conversion.emit(.pooling(pooling), [try conversion.operand(0)])
    },
    "LpPool": { conversion in
      let node = conversion.node
      guard var pooling = try window(.average, conversion) else { return }
      guard !pooling.roundsUp else { return conversion.refuse("with ceil_mode") }
      pooling.countsPadding = true
      let cells = pooling.extents.reduce(1.0) { $0 * Double($1) }
      let powers = try powers(conversion)
      let mean = conversion.value(.pooling(pooling), [powers])
      root(conversion.combine(.multiply, mean, conversion.number(cells)), conversion)
    },
    "GlobalMaxPool": {
      $0.emit(.globalPooling(.maximum, layout: .channelsFirst, keepsAxes: true), [try $0.operand(0)])
    },
    "GlobalAveragePool": {
      $0.emit(.globalPooling(.average, layout: .channelsFirst, keepsAxes: true), [try $0.operand(0)])
    },
    "GlobalLpPool": { conversion in
      let input = try powers(conversion)
      let planes = conversion.reshaped(input, [0, 0, -1])
      let sums = conversion.reduced(.sum, planes, axes: [2])
      root(conversion.aligned(conversion.reshaped(sums, [0, 0]), with: input, axis: 0), conversion)
    },
    "MaxUnpool": maximumUnpooling,
  ]

  private static func window(_ kind: Pooling.Kind, _ conversion: ONNXConversion) throws -> Pooling? {
    let node = conversion.node
    guard let extents = node.ints("kernel_shape"), (1...3).contains(extents.count), extents.allSatisfy({ $0 > 0 })
    else { throw node.failure("it has no kernel_shape of 1 to 3 extents") }
    return Pooling(
      kind: kind, extents: extents, window: try node.window(extents.count), layout: .channelsFirst,
      countsPadding: node.int("count_include_pad", default: 0) != 0, roundsUp: node.int("ceil_mode", default: 0) != 0)
  }

  /// The norm's order, in old versions of its operators a floating-point number.
  private static func order(_ node: ONNXNode) -> Double {
    guard let attribute = node.proto.attribute(named: "p") else { return 2 }
    return attribute.i != 0 ? Double(attribute.i) : Double(attribute.f)
  }

  private static func powers(_ conversion: ONNXConversion) throws -> String {
    let size = conversion.apply(.absolute, try conversion.operand(0))
    let order = order(conversion.node)
    return order == 1 ? size : conversion.combine(.power, size, conversion.number(order))
  }

  private static func root(_ sum: String, _ conversion: ONNXConversion) {
    let order = order(conversion.node)
    guard order != 1 else { return conversion.emit(.identity, [sum]) }
    conversion.emit(.elementwise(.power), [sum, conversion.number(1 / order)])
  }

  /// Every element goes to the place from which MaxPool took it.
  private static let maximumUnpooling: Converter = { conversion in
    let node = conversion.node
    guard let extents = node.ints("kernel_shape"), (1...3).contains(extents.count) else {
      throw node.failure("it has no kernel_shape of 1 to 3 extents")
    }
    guard node.input(2) == nil else { return conversion.refuse("with an output shape") }
    let window = try node.window(extents.count)
    var (before, after) = (extents.map { _ in 0 }, extents.map { _ in 0 })
    if case .explicit(let stated, let behind) = window.padding { (before, after) = (stated, behind) }
    guard (extents + window.stride + before + after).allSatisfy({ (0...Int(Int32.max)).contains($0) }) else {
      throw node.failure("its window is \(extents) with strides \(window.stride)", "expected positive numbers")
    }
    let borders = zip(before, after).map(+)
    let input = try conversion.operand(0)
    let rest = zip(zip(extents, window.stride), borders).map { $0.0 - $0.1 - $1 }
    let grown = conversion.combine(.multiply, conversion.shape(input), conversion.literal([1, 1] + window.stride))
    let shape = conversion.combine(.add, grown, conversion.literal([0, 0] + rest))
    let zeros = conversion.reshaped(conversion.value(.filled(value: 0), [shape]), [-1])
    let places = conversion.reshaped(try conversion.operand(1), [-1])
    let scattered = conversion.value(
      .scatterElements(axis: 0, .replace), [zeros, places, conversion.reshaped(input, [-1])])
    conversion.emit(.reshape(keepsZero: false), [scattered, shape])
  }
}

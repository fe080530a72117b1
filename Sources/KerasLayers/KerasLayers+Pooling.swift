import Basics
import ModelGraph

/// Poolings over windows and over everything.
extension KerasLayerType {
  static let poolings: [String: KerasLayerType] = {
    var table: [String: KerasLayerType] = [:]
    for order in 1...3 {
      for (name, kind) in [("Max", Pooling.Kind.maximum), ("Average", .average)] {
        table["\(name)Pooling\(order)D"] = pooling(kind, order)
        table["Global\(name)Pooling\(order)D"] = globalPooling(kind)
      }
    }
    return table
  }()

  private static func pooling(_ kind: Pooling.Kind, _ order: Int) -> KerasLayerType {
    KerasLayerType { layer, _ in
      let size = try layer.extents("pool_size", order, default: Array(repeating: 2, count: order))
      let window = Window(
        stride: try layer.extents("strides", order, default: size),
        dilation: Array(repeating: 1, count: order), padding: try layer.padding())
      return [
        .pooling(Pooling(kind: kind, extents: size, window: window, layout: try layer.layout()))
      ]
    }
  }

  private static func globalPooling(_ kind: Pooling.Kind) -> KerasLayerType {
    let plain = KerasLayerType { layer, _ in
      [
        .globalPooling(
          kind, layout: try layer.layout(), keepsAxes: layer.bool("keepdims", default: false))
      ]
    }
    guard kind == .average else { return plain }
    return KerasLayerType(expansion: { use in
      guard use.layer.entry.className == "GlobalAveragePooling1D", let value = use.arguments.first?.leaves.first,
        case .value(let value) = value, let mask = try use.ownMask(1, of: value)
      else { return try plain.expansion(&use) }
      return [try use.meanOfSteps(value, mask)]
    })
  }
}

extension KerasUse {
  /// The mean over the steps that count.
  fileprivate mutating func meanOfSteps(_ value: String, _ mask: String) throws -> String {
    let isLast = try layer.layout() == .channelsLast
    let mask = expand(mask, axes: [isLast ? 2 : 1])
    let axes = [isLast ? 1 : 2]
    let counted = select(mask, value, otherwise: scalar(0))
    let keeps = layer.bool("keepdims", default: false)
    return elementwise(
      .divide, reduce(.sum, counted, axes: axes, keepsAxes: keeps), reduce(.sum, mask, axes: axes, keepsAxes: keeps))
  }
}

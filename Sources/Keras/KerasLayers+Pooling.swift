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
    KerasLayerType { layer, _ in
      [
        .globalPooling(
          kind, layout: try layer.layout(), keepsAxes: layer.bool("keepdims", default: false))
      ]
    }
  }
}

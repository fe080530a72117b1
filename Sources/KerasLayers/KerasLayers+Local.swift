import Basics
import ModelGraph
import TensorCore

/// Convolutions that have a kernel of its own for every place.
extension KerasLayerType {
  static let locals: [String: KerasLayerType] = [
    "LocallyConnected1D": locallyConnected(1), "LocallyConnected2D": locallyConnected(2),
  ]

  private static func locallyConnected(_ order: Int) -> KerasLayerType {
    KerasLayerType(
      weightNames: { KerasWeightNames(trainable: ["kernel"] + $0.biasName) },
      layers: { layer in
        // (places, taps * in, out)
        guard let stored = layer.weights["kernel"], stored.shape.count == 3 else { return [] }
        return [
          layer.matrix(
            layer.path, stored, order: [2, 0, 1], reason: "it has a kernel of its own for every place")
        ]
      },
      expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        return [try use.activated(try use.locallyConnected(value, order))]
      })
  }
}

extension KerasUse {
  fileprivate mutating func locallyConnected(_ value: String, _ order: Int) throws -> String {
    guard try layer.layout() == .channelsLast, try layer.padding() == .valid,
      try layer.integer("implementation", default: 1) == 1
    else {
      throw layer.failure("cannot be run", "it is stored in another way than by places, or has its channels first")
    }
    guard try rank(of: value) == order + 2 else { throw layer.failure("cannot be run", "its input has another rank") }
    let rank = order + 2
    let size = try layer.extents("kernel_size", order)
    let strides = try layer.extents("strides", order, default: Array(repeating: 1, count: order))
    let inputs = try (1...order).map { try extent($0, of: value) }
    let outputs = Window(stride: strides, dilation: strides.map { _ in 1 }, padding: .valid)
      .outputExtents(input: inputs, kernel: size)
    let (channels, filters) = (try extent(rank - 1, of: value), try layer.integer("filters"))
    guard let taps = size.productIfExact, let places = outputs.productIfExact, places > 0, taps <= 1024 else {
      throw layer.failure("cannot be run", "its window of \(size) does not fit its input")
    }
    // The elements under every tap, for all places: (batch, places..., taps, channels).
    let windows = (0..<taps).map { tap -> String in
      let offsets = order == 1 ? [tap] : [tap / size[1], tap % size[1]]
      let part = (0..<order).reduce(value) { part, axis in
        slice(
          part, axis: axis + 1, offsets[axis], offsets[axis] + (outputs[axis] - 1) * strides[axis] + 1,
          step: strides[axis])
      }
      return expand(part, axes: [rank - 1])
    }
    let all = append(.concatenate(axis: rank - 1), windows)
    let rows = try reshape(all, [.extents(value, [0]), .fixed(places), .fixed(taps * channels)])
    let kernel = try parameter("kernel", [places, taps * channels, filters])
    let product = try contract(rows, ["b", "p", "i"], kernel, ["p", "i", "o"], to: ["b", "p", "o"])
    let result = try reshape(product, [.extents(value, [0])] + outputs.map { .fixed($0) } + [.fixed(filters)])
    guard !layer.biasName.isEmpty else { return result }
    return elementwise(.add, result, try parameter("bias", outputs + [filters]))
  }
}

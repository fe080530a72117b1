import Basics
import ModelGraph

/// Layers that count and number things, as far as these are numbers.
extension KerasLayerType {
  static let categories: [String: KerasLayerType] = [
    "CategoryEncoding": KerasLayerType(expansion: { use in
      guard let value = try use.values().first else { throw use.layer.withoutInput }
      return [try use.encoded(value, count: try use.layer.integer("num_tokens"), mode: "multi_hot")]
    }),
    "Discretization": KerasLayerType(
      weightNames: { $0.value("bin_boundaries") == nil ? nil : KerasWeightNames() },
      expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        guard let bounds = use.layer.value("bin_boundaries")?.array?.compactMap(\.real), !bounds.isEmpty else {
          throw use.layer.failure("cannot be run", "the file does not state its boundaries")
        }
        let all = use.literal(Literal(shape: [bounds.count], values: bounds))
        let rank = try use.rank(of: value)
        let isAbove = use.elementwise(.greaterOrEqual, use.expand(value, axes: [rank]), all)
        let bin = use.reduce(.sum, isAbove, axes: [-1], keepsAxes: false)
        return [try use.encoded(bin, count: bounds.count + 1, mode: "int")]
      }),
    "IntegerLookup": KerasLayerType(
      weightNames: { $0.value("vocabulary") == nil ? nil : KerasWeightNames() },
      expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        let layer = use.layer
        let words = layer.value("vocabulary")?.integers ?? []
        let unknown = try layer.integer("num_oov_indices", default: 1, atLeast: 0)
        guard (1...65536).contains(words.count), unknown <= 1, !layer.bool("invert", default: false),
          !layer.bool("sparse", default: false), layer.value("mask_token") == nil
        else {
          throw layer.failure("cannot be run", "its vocabulary does not stand in the configuration as plain numbers")
        }
        guard unknown == 1 else { throw layer.failure("cannot be run", "it has no number for what it does not know") }
        // Number 0 stands for everything else.
        let all = use.literal(Literal(shape: [words.count], values: words.map(Double.init)))
        let numbers = use.literal(Literal(shape: [words.count], values: words.indices.map { Double($0 + 1) }))
        let rank = try use.rank(of: value)
        let isWord = use.elementwise(.equal, use.expand(value, axes: [rank]), all)
        let index = use.reduce(.sum, use.elementwise(.multiply, isWord, numbers), axes: [-1], keepsAxes: false)
        return [try use.encoded(index, count: words.count + 1, mode: "int")]
      }),
  ]
}

extension KerasUse {
  /// Ones in the places that the numbers name.
  mutating func oneHot(_ indices: String, count: Int) throws -> String {
    let rank = try rank(of: indices)
    let bounds = [0, count, 1].map { literal(Literal([$0])) }
    let places = append(.range, bounds)
    return elementwise(.equal, expand(function(.truncate, of: indices), axes: [rank]), places)
  }

  /// Numbers as the layer's output mode wants them.
  fileprivate mutating func encoded(_ value: String, count: Int, mode fallback: String) throws -> String {
    let mode = try layer.string("output_mode", default: fallback)
    guard mode != "int" else { return value }
    guard count <= 1 << 20, !layer.bool("sparse", default: false) else {
      throw layer.failure("cannot be run", "it makes \(count) places, or sparse values")
    }
    let rank = try rank(of: value)
    let hasOne = rank > 1 && shape(of: value)?[rank - 1] == 1
    switch mode {
    case "one_hot":
      guard rank == 1 || hasOne else {
        throw layer.failure("cannot be run", "it encodes several numbers of a sample one by one")
      }
      return try oneHot(hasOne ? squeeze(value, axes: [rank - 1]) : value, count: count)
    case "multi_hot", "binary", "count":
      let all = try oneHot(value, count: count)
      return rank == 1 ? all : reduce(mode == "count" ? .sum : .maximum, all, axes: [-2], keepsAxes: false)
    default: throw layer.failure("cannot be run", "its output_mode is '\(mode)'")
    }
  }
}

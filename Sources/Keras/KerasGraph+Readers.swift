import Basics
import KerasLayers
import TensorCore

extension KerasGraph.Architecture {
  /// The class of the layer that each weight belongs to, by the weight's name.
  static func readers(of model: KerasModel, _ weights: KerasWeights) -> [String: String] {
    var readers: [String: String] = [:]
    func visit(_ model: KerasModel) {
      for entry in model.layers {
        for weight in weights.byPath[entry.path]?.all ?? [] { readers[weight.name] = entry.className }
        if let inner = entry.model { visit(inner) }
      }
    }
    visit(model)
    return readers
  }
}

extension JSON {
  /// The coarsest type in which a layer of this configuration computes: its dtype, or that of its policy. A policy of quantized
  /// weights, `int8_from_float16` say, computes in the type that it names last.
  var computedType: DType {
    switch self {
    case .object(let object):
      let own =
        self["dtype"].flatMap { $0.string ?? $0["config"]?["name"]?.string }.map(DType.init(kerasPolicy:)) ?? .f32
      return object.pairs.reduce(own) { Self.coarser($0, $1.1.computedType) }
    case .array(let items): return items.reduce(.f32) { Self.coarser($0, $1.computedType) }
    case .null, .bool, .number, .string: return .f32
    }
  }

  private static func coarser(_ a: DType, _ b: DType) -> DType { a.unitRoundoff >= b.unitRoundoff ? a : b }
}

extension DType {
  fileprivate init(kerasPolicy name: String) {
    self = name.hasSuffix("bfloat16") ? .bf16 : name.hasSuffix("float16") ? .f16 : .f32
  }
}

import Checkpoints
import ModelGraph
import TensorCore

/// Parameters of a checkpoint of which the same can be said: what they are, and why they stay as they are.
package struct ParameterGroup: Sendable, Equatable {
  /// What they are, in a few words.
  package let content: String
  /// Why they stay as they are; nil for kernels that a structure may replace.
  package let reason: String?
  package fileprivate(set) var tensors = 0
  /// Numbers; 0 for integers that are no weights.
  package fileprivate(set) var parameters = 0
  package fileprivate(set) var bytes = 0

  fileprivate init(_ content: String, _ reason: String?) {
    self.content = content
    self.reason = reason
  }
}

extension Checkpoint {
  /// All tensors in groups, those that take the most bytes first.
  package var parameterGroups: [ParameterGroup] {
    var groups: [ParameterGroup] = []
    func add(_ content: String, _ reason: String?, _ dtype: DType, _ shape: [Int], areWeights: Bool = true) {
      let index = groups.firstIndex { $0.content == content && $0.reason == reason } ?? groups.count
      if index == groups.count { groups.append(ParameterGroup(content, reason)) }
      groups[index].tensors += 1
      groups[index].parameters += areWeights ? shape.reduce(1, *) : 0
      groups[index].bytes += dtype.byteCount(of: shape) ?? 0
    }
    let kernels = Dictionary(layers.map { ($0.kernel.name, $0) }) { first, _ in first }
    let biases = Set(layers.compactMap { $0.bias?.name })
    let (readers, unsupported) = (content.readers, Set(graph?.unsupportedTypes.map(\.type) ?? []))
    for (tensor, held) in heldTensors {
      let (dtype, shape) = (held.dtype, held.shape)
      if let layer = kernels[tensor.name] {
        add(dtype.isQuantized ? "quantized kernels of layers" : "kernels of layers", layer.refusal, dtype, shape)
      } else if biases.contains(tensor.name) {
        add("biases of layers", "a vector has no structure", dtype, shape)
      } else if dtype.isQuantized, shape.count(where: { $0 > 1 }) > 1 {
        add(
          "quantized weights\(readers[tensor.name].map { " of \($0)" } ?? "")", "they are quantized already", dtype,
          shape)
      } else if !dtype.isCompressible {
        add("integers", "they are no weights", dtype, shape, areWeights: false)
      } else if !tensor.isMatrix {
        add("other vectors", "a vector has no structure", dtype, shape)
      } else {
        let reader = readers[tensor.name]
        add(
          "other weights\(reader.map { " of \($0)" } ?? "")",
          reader.map { Self.reason(of: $0, isRun: !unsupported.contains($0)) } ?? Self.unsupported, dtype, shape)
      }
    }
    for inner in content.innerTensors {
      let areWeights = inner.dtype.isCompressible || inner.dtype.isQuantized
      add(
        "weights in \(inner.place)", "such parts are left as they are", inner.dtype, inner.shape, areWeights: areWeights
      )
    }
    return groups.sorted { $0.bytes > $1.bytes }
  }

  /// The tensors with those that the file holds for them: itself, or what a tensor is computed from. Each of these is there once.
  private var heldTensors: [(tensor: StoredTensor, held: StoredTensor)] {
    var seen: Set<String> = []
    return tensors.flatMap { tensor in
      (content.computedFrom[tensor.name] ?? [tensor]).filter { seen.insert($0.name).inserted }.map { (tensor, $0) }
    }
  }

  /// Why a matrix that this class of operators or layers reads is not replaced.
  private static func reason(of reader: String, isRun: Bool) -> String {
    switch reader {
    case "Gather", "Embedding": "rows of a table are looked up, not multiplied"
    case "LSTM", "GRU", "RNN", "SimpleRNN": "a recurrent layer takes its matrices as they are"
    default: isRun ? "only kernels of convolutions and linear layers are replaced" : "such operators are not run here"
    }
  }

  /// The share of the parameters that are integers of 8 bits or fewer; nil below a half, where the model is not quantized already.
  package var quantizedShare: Double? {
    let weights =
      heldTensors.map(\.held).filter { $0.shape.count { $0 > 1 } > 1 }.map { ($0.dtype, $0.shape) }
      + content.innerTensors.map { ($0.dtype, $0.shape) }
    func count(_ belongs: (DType) -> Bool) -> Int {
      weights.reduce(0) { $0 + (belongs($1.0) ? $1.1.reduce(1, *) : 0) }
    }
    let quantized = count(\.isQuantized)
    let share = Double(quantized) / Double(max(1, quantized + count(\.isCompressible)))
    return share >= 0.5 ? share : nil
  }
}

extension DType {
  /// Whether weights of this type are numbers rounded to a few bits.
  fileprivate var isQuantized: Bool {
    switch self {
    case .u8, .i8, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: true
    case .bool, .i16, .u16, .f16, .bf16, .i32, .u32, .f32, .c64, .f64, .i64, .u64: false
    }
  }
}

import TensorCore

/// What the tensors of a state dict prove about each other. A kernel of which nothing proves how it is used keeps its form: an embedding, a
/// grouped or a transposed convolution would be destroyed, and nothing would say so.
struct StateDictEvidence {
  private let byName: [String: StoredTensor]
  private let memberCounts: [String: Int]
  /// All kernels and vectors of modules in the natural order of their names.
  private let modules: [Module]
  private let places: [String: Int]
  /// The last names of linear layers that are stored (in, out), as their biases prove.
  private let transposedLeaves: Set<String>

  private struct Module {
    let name: String
    let shape: [Int]
    /// Channel attention narrows a network beside its own way.
    let isBeside: Bool
  }

  init(_ tensors: [StoredTensor]) {
    byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    var counts = ["": tensors.count]
    for tensor in tensors {
      for dot in tensor.name.indices where tensor.name[dot] == "." {
        counts[String(tensor.name[...dot]), default: 0] += 1
      }
    }
    memberCounts = counts
    modules = tensors.filter { $0.name.hasSuffix(".weight") && !$0.shape.isEmpty }
      .map { tensor in
        let words = tensor.name.split(separator: ".").map(String.init)
        return Module(
          name: tensor.name, shape: tensor.shape,
          isBeside: words.contains { ["se", "fc1", "fc2", "squeeze", "excitation", "attn", "ca"].contains($0) })
      }
      .sorted { Self.precedes($0.name, $1.name) }
    places = Dictionary(modules.enumerated().map { ($1.name, $0) }) { first, _ in first }
    let names = byName
    transposedLeaves = Set(
      tensors.compactMap { kernel in
        guard kernel.name.hasSuffix(".weight"), kernel.shape.count == 2, kernel.shape[0] != kernel.shape[1],
          names["\(kernel.name.dropLast("weight".count))bias"]?.shape == [kernel.shape[1]]
        else { return nil }
        return Self.leaf(String(kernel.name.dropLast(".weight".count)))
      })
  }

  func tensor(_ name: String) -> StoredTensor? { byName[name] }

  /// How many tensors begin with a prefix that ends in a dot, or with the empty one.
  func memberCount(_ prefix: String) -> Int { memberCounts[prefix] ?? 0 }

  /// What is not known of a kernel; nil where it is proven to be that of a linear layer or an ordinary convolution.
  func doubt(of kernel: StoredTensor, prefix: String, bias: StoredTensor?, isBare: Bool) -> String? {
    guard !isBare else { return nil }
    let leaf = Self.leaf(String(prefix.dropLast()))
    if let bias, bias.shape == [kernel.shape[1]], kernel.shape[0] != kernel.shape[1] {
      return kernel.shape.count == 2
        ? "its bias says that its first mode is the input, as in Conv1D of Hugging Face's GPT-2 (--modules takes it)"
        : "its bias says that it is a transposed or a grouped convolution (--modules takes it)"
    }
    return kernel.shape.count == 2
      ? matrixDoubt(kernel, leaf: leaf, hasBias: bias != nil)
      : convolutionDoubt(kernel, leaf: leaf, hasBias: bias != nil)
  }

  // MARK: Matrices

  private func matrixDoubt(_ kernel: StoredTensor, leaf: String, hasBias: Bool) -> String? {
    let shape = kernel.shape
    if hasBias {
      return shape[0] == shape[1] && transposedLeaves.contains(leaf)
        ? "others of its name have their input as first mode, as Conv1D of Hugging Face's GPT-2 (--modules takes it)"
        : nil
    }
    if Self.isLinear(leaf) {
      let isHead = ["lm_head", "embed_out", "decoder", "output"].contains(leaf) && shape[0] > shape[1]
      return isHead && !byName.values.contains(where: { $0.shape == shape && $0.name != kernel.name })
        ? "it may be tied to an embedding that the file does not repeat (--linear takes it where it is not)" : nil
    }
    return Self.tableWords.contains { leaf.contains($0) }
      ? "its name says that it is an embedding, a table that no input multiplies (--linear takes it where it is none)"
      : "nothing proves that it is a linear layer and not an embedding (--linear or --modules takes it)"
  }

  private static let tableWords = ["emb", "wte", "wpe", "token", "vocab", "table", "codebook", "position", "relative"]

  /// Whether a layer of this name is linear in the libraries that people use.
  private static func isLinear(_ leaf: String) -> Bool {
    var word = leaf[...]
    while let last = word.last, last.isNumber || last == "_" { word.removeLast() }
    return linearWords.contains(leaf) || linearWords.contains(String(word))
      || ["proj", "linear", "dense", "fc", "mlp", "projection"].contains { word.hasSuffix($0) }
  }

  private static let linearWords: Set<String> = [
    "fc", "linear", "lin", "dense", "proj", "mlp", "ffn", "head", "heads", "classifier", "lm_head", "embed_out",
    "decoder",
    "logits", "out", "output", "query", "key", "value", "q", "k", "v", "o", "kv", "qkv", "wq", "wk", "wv", "wo", "wi",
    "w", "w1", "w2", "w3", "to_q", "to_k", "to_v", "to_kv", "to_qkv", "to_out", "c_attn", "c_fc", "gate", "pooler",
    "score", "reduction", "i2h", "h2h", "query_key_value", "dense_h_to_4h", "dense_4h_to_h",
  ]

  // MARK: Convolutions

  private func convolutionDoubt(_ kernel: StoredTensor, leaf: String, hasBias: Bool) -> String? {
    let shape = kernel.shape
    let name = kernel.name.lowercased()
    func isNamed(_ words: [String]) -> Bool { words.contains { name.contains($0) } }
    if shape[1] == 1 {
      return "its second mode is 1, as in a depthwise convolution and in one of a single channel (--modules tells)"
    }
    if shape.count == 3, hasBias, isNamed(["bilinear"]) {
      return "its name says that it multiplies two inputs with each other"
    }
    if isNamed(["deconv", "transpose", "upconv"]) || leaf == "up" || leaf == "ups" {
      return "its name says that it is a transposed convolution, whose first mode is the input (--modules takes it)"
    }
    let spatial = shape.dropFirst(2)
    if spatial.allSatisfy({ $0 % 2 == 0 }), isNamed(["up", "dec", "gen"]) {
      return "it may be a transposed convolution, whose first mode is the input (--modules takes it)"
    }
    return isUnwitnessed(kernel, isPointwise: spatial.allSatisfy { $0 == 1 })
      ? "no layer before it has \(shape[1]) channels: it may be a grouped convolution (--modules takes it)" : nil
  }

  /// Whether a widening convolution has the shape of a grouped one: what comes before it has several times the channels of its input, and nothing
  /// near has just these.
  private func isUnwitnessed(_ kernel: StoredTensor, isPointwise: Bool) -> Bool {
    let (out, inputs) = (kernel.shape[0], kernel.shape[1])
    guard inputs < out, let place = places[kernel.name] else { return false }
    let isGroupPossible = modules[max(0, place - 12)..<place].contains { module in
      let groups = module.shape[0] / inputs
      return module.shape.count > 1 && groups > 1 && module.shape[0] % inputs == 0 && out % groups == 0
    }
    guard isGroupPossible else { return false }
    let others = modules.filter { !$0.isBeside && $0.name != kernel.name }
    let isAnywhere = others.contains { $0.shape[0] == inputs }
    if isPointwise { return !isAnywhere }
    let near = modules[max(0, place - 12)..<min(modules.count, place + 5)].filter {
      !$0.isBeside && $0.name != kernel.name
    }
    let isNear = near.contains { module in
      module.shape[0] == inputs
        || module.shape.count > 2 && module.shape[1] == inputs && module.shape.dropFirst(2).allSatisfy { $0 == 1 }
    }
    if isNear { return false }
    return !isAnywhere || near.contains { $0.shape[0] == out }
  }

  // MARK: Names

  /// The last part of a module's name that is no number, in lower case: `classifier` for `classifier.1`.
  private static func leaf(_ module: String) -> String {
    let words = module.split(separator: ".")
    return (words.last { Int($0) == nil } ?? words.last ?? "").lowercased()
  }

  /// Orders names as their modules are numbered: `layer.2` before `layer.10`.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    for (x, y) in zip(a.split(separator: "."), b.split(separator: ".")) where x != y {
      if let x = Int(x), let y = Int(y) { return x < y }
      return x < y
    }
    return a.count < b.count
  }
}

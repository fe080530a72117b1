import ModelGraph
import TensorCore

/// What names and shapes tell about layers where there is no graph, by PyTorch's conventions: a module `conv1` stores
/// `conv1.weight`, (out, in) or (out, in / groups, spatial...), and perhaps `conv1.bias`, (out).
enum SafetensorsLayers {
  /// The name of the module whose tensors are plain `weight` and `bias`.
  static let rootName = "weight"

  /// Every float tensor of 2 to 5 modes named `weight` or `*.weight`, in the order of the tensors. Windows are unit windows and
  /// input extents are unknown: neither is in the file.
  static func layers(of tensors: [StoredTensor]) -> [Layer] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    let memberCounts = memberCounts(of: tensors)
    return tensors.compactMap { kernel in
      guard let prefix = modulePrefix(ofKernel: kernel.name), kernel.dtype.isFloat,
        (2...5).contains(kernel.shape.count)
      else { return nil }
      // A name must be unique; only a module that is itself called `weight` can take the root's.
      if prefix.isEmpty, byName["\(rootName).weight"] != nil { return nil }
      let bias = byName["\(prefix)bias"]
      let shape = kernel.shape
      return Layer(
        name: layerName(ofPrefix: prefix),
        kind: shape.count == 2 ? .linear : .convolution,
        kernel: TensorReference(kernel.name),
        bias: bias.flatMap { $0.shape == [shape[0]] ? TensorReference($0.name) : nil },
        dtype: kernel.dtype,
        convolution: Convolution(kernelShape: shape, window: .unit(shape.count - 2)),
        refusal: kernelRefusal(kernel)
          ?? moduleRefusal(kernel, bias: bias, memberCount: memberCounts[prefix] ?? 0))
    }
  }

  /// `conv1` for `conv1.weight`, nil for a name that is no kernel's.
  static func layerName(ofKernel name: String) -> String? { modulePrefix(ofKernel: name).map(layerName(ofPrefix:)) }

  private static func layerName(ofPrefix prefix: String) -> String {
    prefix.isEmpty ? rootName : String(prefix.dropLast())
  }

  /// What the names of a layer's tensors begin with.
  ///
  /// - Precondition: The layer is one of `layers`.
  static func prefix(of layer: Layer) -> String {
    guard let prefix = modulePrefix(ofKernel: layer.kernel.name) else {
      preconditionFailure("'\(layer.kernel.name)' is the kernel of no module")
    }
    return prefix
  }

  /// `conv1.` for `conv1.weight`, empty for `weight`, nil for any other name.
  private static func modulePrefix(ofKernel name: String) -> String? {
    guard name == "weight" || name.hasSuffix(".weight") else { return nil }
    return String(name.dropLast("weight".count))
  }

  /// How many tensors begin with each prefix that ends in a dot, and with the empty one.
  private static func memberCounts(of tensors: [StoredTensor]) -> [String: Int] {
    var counts = ["": tensors.count]
    for tensor in tensors {
      for dot in tensor.name.indices where tensor.name[dot] == "." {
        counts[String(tensor.name[...dot]), default: 0] += 1
      }
    }
    return counts
  }

  /// Why the kernel itself may not be replaced.
  private static func kernelRefusal(_ kernel: StoredTensor) -> String? {
    let shape = kernel.shape
    let name = kernel.name.lowercased()
    func isNamed(_ words: [String]) -> Bool { words.contains { name.contains($0) } }
    if !kernel.dtype.isCompressible {
      return "its dtype \(kernel.dtype.rawValue) is none of F16, BF16, F32 and F64"
    }
    if shape.contains(0) { return "it is empty" }
    if shape[0] < 2 { return "it has one output channel only" }
    if shape.count == 2 {
      return isNamed(["embed", "wte", "wpe", "token"])
        ? "its name says that it is an embedding, a table that no input multiplies" : nil
    }
    if isNamed(["deconv", "transpose", "upconv"]) {
      return "its name says that it is a transposed convolution, whose first mode is the input"
    }
    return shape[1] == 1 ? "its second mode is 1, as in a depthwise convolution" : nil
  }

  /// Why the module as a whole may not become a sequence of modules.
  private static func moduleRefusal(
    _ kernel: StoredTensor, bias: StoredTensor?, memberCount: Int
  ) -> String? {
    if let bias, bias.shape != [kernel.shape[0]] {
      return "its bias has the shape \(bias.shape) instead of [\(kernel.shape[0])]"
    }
    // Also what keeps the new names apart from those that are there: nothing else begins with the module's name.
    return memberCount == (bias == nil ? 1 : 2)
      ? nil : "its module holds tensors other than 'weight' and 'bias'"
  }
}

extension DType {
  fileprivate var isFloat: Bool {
    switch self {
    case .bool, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64, .c64: false
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: true
    case .f16, .bf16, .f32, .f64: true
    }
  }
}

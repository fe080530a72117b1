import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// What names and shapes tell about layers where there is no graph, by PyTorch's conventions: a module `conv1` stores
/// `conv1.weight`, (out, in) or (out, in / groups, spatial...), and perhaps `conv1.bias`, (out). Recurrent and attention modules keep
/// kernels under names of their own, `lstm.weight_ih_l0` say.
enum SafetensorsLayers {
  /// The name of the module whose tensors are plain `weight` and `bias`.
  static let rootName = "weight"

  /// Every float tensor of 2 to 5 modes that is a module's kernel, in the order of the tensors. What nothing proves is in doubt and keeps its form.
  ///
  /// - Parameters:
  ///   - linear: The layers that a user says are linear.
  ///   - modules: The classes of the modules; windows are unit windows without them.
  ///   - ties: For the names of tensors that the file does not hold, those of the tensors that they are.
  static func layers(
    of tensors: [StoredTensor], linear: [Glob] = [], modules: StateDictModules? = nil, ties: [String: String] = [:]
  ) -> [Layer] {
    let evidence = StateDictEvidence(tensors)
    let tied = Dictionary(ties.map { ($1, $0) }, uniquingKeysWith: min)
    return tensors.compactMap { kernel -> Layer? in
      guard let prefix = modulePrefix(ofKernel: kernel.name), kernel.dtype.isFloat,
        (2...5).contains(kernel.shape.count)
      else { return nil }
      // A name must be unique; only a module that is itself called `weight` can take the root's.
      if prefix.isEmpty, evidence.tensor("\(rootName).weight") != nil { return nil }
      let name = layerName(ofPrefix: prefix)
      let isBare = isBareKernel(kernel.name)
      let form = modules?.form(of: name, kernel) ?? .plain(kernel.shape)
      let bias = isBare ? nil : evidence.tensor("\(prefix)bias")
      let refusal =
        kernelRefusal(kernel, form)
        ?? tied[kernel.name].map { "its weight is that of '\($0)' too" }
        ?? moduleRefusal(form, bias: bias, memberCount: evidence.memberCount(prefix), isBare: isBare)
      let isKnown = form.isKnown || linear.contains { $0.matches(name) } && kernel.shape.count == 2
      let doubt =
        isKnown || refusal != nil ? nil : evidence.doubt(of: kernel, prefix: prefix, bias: bias, isBare: isBare)
      return Layer(
        name: name, kind: form.kind, kernel: TensorReference(kernel.name, permutation: form.permutation),
        bias: bias.flatMap { $0.shape == [form.convolution.kernelShape[0]] ? TensorReference($0.name) : nil },
        dtype: kernel.dtype, convolution: form.convolution, refusal: refusal ?? doubt, isInDoubt: doubt != nil)
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

  /// `conv1.` for `conv1.weight`, empty for `weight`, `lstm.weight_ih_l0.` for a kernel that is no module's `weight`, nil for any other name.
  private static func modulePrefix(ofKernel name: String) -> String? {
    if isBareKernel(name) { return name + "." }
    guard name == "weight" || name.hasSuffix(".weight") else { return nil }
    return String(name.dropLast("weight".count))
  }

  /// Whether a kernel is one of several that its module keeps under names of their own.
  static func isBareKernel(_ name: String) -> Bool {
    let leaf = name.split(separator: ".").last.map(String.init) ?? ""
    if ["in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"].contains(leaf) { return true }
    return ["weight_ih", "weight_hh", "weight_hr"].contains { leaf == $0 || leaf.hasPrefix("\($0)_l") }
  }

  /// Why the kernel itself may not be replaced.
  private static func kernelRefusal(_ kernel: StoredTensor, _ form: StateDictModules.Form) -> String? {
    if !kernel.dtype.isCompressible {
      return "its dtype \(kernel.dtype.rawValue) is none of F16, BF16, F32 and F64"
    }
    if kernel.shape.contains(0) { return "it is empty" }
    if form.convolution.kernelShape[0] < 2 { return "it has one output channel only" }
    return form.refusal
  }

  /// Why the module as a whole may not become a sequence of modules.
  private static func moduleRefusal(
    _ form: StateDictModules.Form, bias: StoredTensor?, memberCount: Int, isBare: Bool
  ) -> String? {
    let channels = form.convolution.kernelShape[0]
    if let bias, bias.shape != [channels], form.isKnown || bias.shape != [form.convolution.kernelShape[1]] {
      return "its bias has the shape \(bias.shape) instead of [\(channels)]"
    }
    // Also what keeps the new names apart from those that are there: nothing else begins with the module's name.
    return memberCount == (isBare ? 0 : bias == nil ? 1 : 2)
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

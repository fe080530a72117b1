import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// What a PyTorch class says of its modules, as `write_modules` of the printed loader writes it: a JSON object
/// `{"schema": "kcompress.modules/1", "modules": {name: {"class": text, "kind": text, "weight": shape, ...}}, "ties": [[name, ...]]}`.
///
/// Convolutions have `groups`, `stride`, `dilation`, `padding` (`same`, `valid` or numbers), `transposed` and `output_padding` beside.
package struct StateDictModules: Sendable {
  static let schema = "kcompress.modules/1"

  /// What a module's kernel is to be read as.
  struct Form {
    var kind: Layer.Kind
    var convolution: Convolution
    /// Brings the stored kernel into the program's order.
    var permutation: [Int]?
    /// Why no structure may replace it.
    var refusal: String?
    /// Whether a class says so, and not the shape alone.
    var isKnown = true

    /// What a shape says where nothing else does.
    static func plain(_ shape: [Int]) -> Form {
      Form(
        kind: shape.count == 2 ? .linear : .convolution,
        convolution: Convolution(kernelShape: shape, window: .unit(shape.count - 2)), isKnown: false)
    }
  }

  fileprivate struct Module {
    let className: String
    let shape: [Int]
    let form: Form
  }

  /// The path of the file.
  let path: String
  /// The modules by their names in the checkpoint.
  fileprivate var modules: [String: Module]
  /// The names of tensors that are one and the same.
  private(set) var ties: [[String]]

  /// Reads a file.
  ///
  /// - Throws: `Failure` that names the file and the module where one is malformed.
  package init(path: String) throws {
    self.path = path
    let bytes = try InputFile.read(path)
    (modules, ties) = try Failure.within(path) {
      let document = try JSON(parsing: bytes)
      guard document["schema"]?.string == Self.schema, let entries = document["modules"]?.object else {
        throw Failure(
          "", "is no file of modules", "it has not the schema '\(Self.schema)'", remedy: "write it with write_modules")
      }
      var modules: [String: Module] = [:]
      for (name, entry) in entries.pairs { modules[name] = try Module(name, entry) }
      let ties = (document["ties"]?.array ?? []).map { $0.strings ?? [] }
      return (modules, ties)
    }
  }

  /// The same with the names that the modules have in a checkpoint, which may have been saved from inside a wrapper, or be one itself.
  ///
  /// - Throws: `Failure` where the checkpoint is of another network.
  func matched(with tensors: [StoredTensor], of checkpoint: String) throws -> StateDictModules {
    let names = Dictionary(tensors.map { ($0.name, $0.shape) }) { first, _ in first }
    func weight(_ module: String) -> String { module.isEmpty ? "weight" : "\(module).weight" }
    var best: (renamed: [String: Module], rename: (String) -> String?, count: Int)?
    for rename in Self.renamings {
      let renamed = Dictionary(
        modules.compactMap { name, module in rename(name).map { ($0, module) } }
      ) { first, _ in first }
      let count = renamed.keys.count { names[weight($0)] != nil }
      if count > best?.count ?? 0 { best = (renamed, rename, count) }
    }
    func another(_ reason: String) -> Failure {
      Failure(
        path, "does not belong to '\(checkpoint)'", reason, remedy: "write it from the class that the checkpoint is of")
    }
    guard let best else { throw another("none of its modules has a weight there") }
    let tied = Set(ties.flatMap { $0 }.compactMap { name in best.rename(name) })
    for (name, module) in best.renamed.sorted(by: { $0.key < $1.key }) {
      guard let shape = names[weight(name)] else {
        if tied.contains(weight(name)) { continue }
        throw another("its module '\(name)' has no weight there")
      }
      guard shape == module.shape else {
        throw another("its module '\(name)' has a weight of \(module.shape), and there it has \(shape)")
      }
    }
    var result = self
    result.modules = best.renamed
    result.ties = ties.map { $0.compactMap { best.rename($0) } }
    return result
  }

  /// Names as they are, and with or without what wrappers put before them.
  private static let renamings: [@Sendable (String) -> String?] = {
    var renamings: [@Sendable (String) -> String?] = [{ $0 }]
    for prefix in StateDictSelection.wrappers.flatMap({ [$0 + ".", "module.\($0)."] }) {
      renamings.append { prefix + $0 }
      renamings.append { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
    }
    return renamings
  }()

  /// What a layer's kernel is; nil for one that the class does not have.
  func form(of layer: String, _ kernel: StoredTensor) -> Form? {
    let module = modules[layer] ?? (kernel.name == "weight" ? modules[""] : nil)
    return module.flatMap { $0.shape == kernel.shape ? $0.form : nil }
  }
}

extension StateDictModules.Module {
  fileprivate init(_ name: String, _ json: JSON) throws {
    func malformed(_ key: String) -> Failure {
      Failure("module '\(name)'", "is malformed", "its '\(key)' is missing or out of range")
    }
    guard let className = json["class"]?.string else { throw malformed("class") }
    guard let shape = json["weight"]?.integers, (2...5).contains(shape.count),
      shape.allSatisfy({ (0...Int(Int32.max)).contains($0) })
    else { throw malformed("weight") }
    self.className = className
    self.shape = shape
    let order = shape.count - 2
    func numbers(_ key: String, from least: Int) throws -> [Int] {
      guard let numbers = json[key]?.integers, numbers.count == order,
        numbers.allSatisfy({ (least...1 << 20).contains($0) })
      else { throw malformed(key) }
      return numbers
    }
    var form = StateDictModules.Form.plain(shape)
    form.isKnown = true
    switch json["kind"]?.string {
    case "linear" where order == 0: break
    case "transposed_linear" where order == 0:
      form.convolution.kernelShape = [shape[1], shape[0]]
      form.permutation = [1, 0]
    case "convolution" where order > 0:
      guard let groups = json["groups"]?.integer, (1...max(1, shape[0])).contains(groups), shape[0] % groups == 0,
        let isTransposed = json["transposed"]?.bool
      else { throw malformed("groups") }
      let window = Window(
        stride: try numbers("stride", from: 1), dilation: try numbers("dilation", from: 1),
        padding: try Self.padding(json["padding"], order: order).orThrow(malformed("padding")))
      if isTransposed {
        form.kind = .transposedConvolution
        form.permutation = [1, 0] + (2..<shape.count)
        form.convolution = Convolution(
          kernelShape: [shape[1], shape[0]] + shape.dropFirst(2), window: window,
          transposition: .init(outputPadding: try numbers("output_padding", from: 0)))
        if groups > 1 { form.refusal = "it is a transposed convolution of \(groups) groups" }
      } else {
        form.convolution = Convolution(kernelShape: shape, groups: groups, window: window)
        if groups > 1, shape[1] == 1 {
          form.kind = .depthwiseConvolution
          form.refusal = "it is a depthwise convolution, which shares nothing between channels"
        }
      }
    case "embedding": form.refusal = "it is an embedding, a table that no input multiplies"
    default: form.refusal = "its module is a \(className), whose weight is not that of a linear layer or a convolution"
    }
    self.form = form
  }

  private static func padding(_ json: JSON?, order: Int) -> Padding? {
    if json?.string == "valid" { return .valid }
    if json?.string == "same" { return .same }
    guard let amounts = json?.integers, amounts.count == order, amounts.allSatisfy({ (0...1 << 20).contains($0) })
    else {
      return nil
    }
    return .explicit(before: amounts, after: amounts)
  }
}

extension Optional {
  fileprivate func orThrow(_ failure: @autoclosure () -> Failure) throws -> Wrapped {
    guard let self else { throw failure() }
    return self
  }
}

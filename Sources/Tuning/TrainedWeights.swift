import Basics
import Checkpoints
import ModelGraph
import TensorCore
import Training

/// A network's weights while some of them are trained: free ones as they are, others as a frozen part and a product of low rank.
struct TrainedWeights: Sendable {
  /// What training changes, by the names that the optimiser knows: a tensor's own, or with `/a` and `/b` those of its factors.
  var parameters: [String: Tensor<Float>] = [:]
  /// The frozen parts of weights with a product of low rank, by the tensor's name.
  private(set) var frozen: [String: Tensor<Float>] = [:]
  /// Means and variances of batch normalisations that follow the batches, by the tensor's name.
  var running: [String: Tensor<Float>] = [:]
  /// The grids of tensors that the file stores as integers: the network sees the nearest places of them.
  private let grids: [String: IntegerGrid]
  /// How each trained tensor is read.
  let references: [String: TensorReference]
  private let fixed: [TensorReference: Tensor<Float>]
  private let ranks: [String: Int]
  private let draw: Draw
  private let seed: UInt64
  private var drawCount = 0

  /// - Parameter record: of a compressed checkpoint; tells its factors.
  /// - Throws: `Failure` where nothing is there to train.
  init(_ checkpoint: Checkpoint, _ graph: ModelGraph, _ record: Record?, _ request: TuneRequest) throws {
    draw = request.draw
    seed = request.seed
    grids = checkpoint.content.grids
    var roles: [String: (reference: TensorReference, role: WeightRole)] = [:]
    var fixed: [TensorReference: Tensor<Float>] = [:]
    var twofold: Set<String> = []
    let own = Set(checkpoint.tensors.filter(\.dtype.isCompressible).map(\.name))
    for node in graph.nodes {
      for (reference, role) in node.operation.roles {
        if fixed[reference] == nil { fixed[reference] = try checkpoint.parameter(reference) }
        guard own.contains(reference.name) else { continue }
        if let known = roles[reference.name], known.reference != reference { twofold.insert(reference.name) }
        roles[reference.name] = (reference, role)
      }
    }
    // What is read in two ways has no one gradient.
    for name in twofold { roles[name] = nil }
    let parts = Set((record?.layers ?? []).flatMap(\.parts))
    let factors = Set(checkpoint.layers.filter { parts.contains($0.name) }.map(\.kernel.name))
    let known = checkpoint.content.grids
    let rounded = Set((record?.layers ?? []).filter { $0.storage != .float }.flatMap(\.parts))
    if let layer = checkpoint.layers.first(where: { rounded.contains($0.name) && known[$0.kernel.name] == nil }) {
      throw Failure(
        checkpoint.path, "cannot be tuned",
        "the weights of '\(layer.name)' are stored in fewer bits, on a grid that training cannot keep in this format",
        remedy: "plan without --bits, tune, and plan the bits of what --dense writes")
    }
    let layers = Dictionary(checkpoint.layers.map { ($0.kernel.name, $0.name) }) { first, _ in first }
    let kernels = roles.filter { $0.value.role == .kernel }.keys.map { layers[$0] ?? $0 }
    for rule in request.ranks where !kernels.contains(where: rule.layers.matches) {
      throw Failure(
        "--rank \(rule.layers.pattern)", "matches no layer", "'\(checkpoint.path)' has none of such a name",
        remedy: "kcompress inspect lists the layers")
    }
    var references: [String: TensorReference] = [:]
    var ranks: [String: Int] = [:]
    for (name, (reference, role)) in roles {
      guard let tensor = fixed[reference] else { continue }
      switch (request.method, role) {
      case (_, .statistic), (_, .fixed):
        if request.statistics == .batch, role.isOfBatch { running[name] = tensor }
        continue
      case (.factors, .kernel): guard factors.contains(name) else { continue }
      case (.lora, .kernel), (.rosa, .kernel):
        let (rows, columns) = LowRankFactors.unfolding(tensor.shape)
        let layer = layers[name] ?? name
        guard let rule = request.ranks.last(where: { $0.layers.matches(layer) }) else { continue }
        ranks[name] = rule.rank(side: min(rows, columns))
        frozen[name] = tensor
      case (.lora, _), (.rosa, _): continue
      case (.full, _), (.factors, _): break
      }
      references[name] = reference
      if !request.method.isLowRank { parameters[name] = tensor }
      fixed[reference] = nil
    }
    self.references = references
    self.fixed = fixed
    self.ranks = ranks
    if request.method == .factors, factors.isEmpty {
      throw Failure(
        checkpoint.path, "has no factors to train", "no layer of it is compressed", remedy: "choose --method full")
    }
    guard !references.isEmpty else {
      throw Failure(checkpoint.path, "has nothing to train", "its graph reads no weights that could change")
    }
    switch request.method {
    case .lora: beginLowRank()
    case .rosa: try drawAgain()
    case .full, .factors: break
    }
  }

  /// A tensor as the network reads it.
  subscript(reference: TensorReference) -> Tensor<Float> {
    get throws {
      let name = reference.name
      if let frozen = frozen[name] { return onGrid(factors(of: name).map { $0.merged(into: frozen) } ?? frozen, name) }
      if let tensor = parameters[name] { return onGrid(tensor, name) }
      if let tensor = running[name] ?? fixed[reference] { return tensor }
      throw Failure("tensor '\(name)'", "is missing", "the graph refers to it")
    }
  }

  /// The names of the checkpoint's tensors that are trained.
  var trained: Set<String> { Set(references.keys) }

  /// The optimiser's names of vectors, which do not decay.
  var vectors: Set<String> { Set(parameters.filter { $0.value.order < 2 }.keys) }

  /// The nearest numbers that the file can store.
  private func onGrid(_ tensor: Tensor<Float>, _ name: String) -> Tensor<Float> {
    grids[name].map { $0.rounded(tensor, axis: 0) } ?? tensor
  }

  /// The gradients of parameters, from that of a tensor as the network reads it.
  func gradients(_ reference: TensorReference, _ gradient: Tensor<Float>) -> [String: Tensor<Float>] {
    guard let factors = factors(of: reference.name) else {
      guard let grid = grids[reference.name], let values = parameters[reference.name] else {
        return [reference.name: gradient]
      }
      return [reference.name: grid.passed(gradient, at: values, axis: 0)]
    }
    let (a, b) = factors.gradients(gradient)
    return [reference.name + "/a": a, reference.name + "/b": b]
  }

  /// What training made of the checkpoint's tensors.
  var changed: [TensorReference: Tensor<Double>] {
    get throws {
      var result: [TensorReference: Tensor<Double>] = [:]
      for reference in references.values { result[reference] = try self[reference].converted(to: Double.self) }
      for (name, tensor) in running { result[TensorReference(name)] = tensor.converted(to: Double.self) }
      return result
    }
  }

  private func factors(of name: String) -> LowRankFactors? {
    guard let a = parameters[name + "/a"], let b = parameters[name + "/b"] else { return nil }
    return LowRankFactors(a: a, b: b)
  }

  private mutating func beginLowRank() {
    for name in frozen.keys.sorted() {
      guard let tensor = frozen[name], let rank = ranks[name] else { continue }
      var generator = generator(for: name)
      set(LowRankFactors(zeroFor: tensor.shape, rank: rank, using: &generator), of: name)
    }
  }

  /// Merges every product into its weight and splits off other directions; the network stays the same.
  ///
  /// - Returns: the optimiser's names of what is now another parameter.
  /// - Throws: `Failure` where a weight holds no numbers.
  @discardableResult
  mutating func drawAgain() throws -> [String] {
    for name in frozen.keys.sorted() {
      guard let own = frozen[name], let rank = ranks[name] else { continue }
      let whole = factors(of: name)?.merged(into: own) ?? own
      var generator = generator(for: name)
      let (rest, factors) = try LowRankFactors.split(whole, rank: rank, draw, using: &generator)
      frozen[name] = rest
      set(factors, of: name)
    }
    drawCount += 1
    return parameters.keys.sorted()
  }

  private mutating func set(_ factors: LowRankFactors, of name: String) {
    parameters[name + "/a"] = factors.a
    parameters[name + "/b"] = factors.b
  }

  /// One for every tensor and draw.
  private func generator(for name: String) -> SplitMix64 {
    let text = name.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    return SplitMix64(seed: seed ^ text &+ UInt64(drawCount) &* 0x9E37_79B9_7F4A_7C15)
  }
}

extension TrainedWeights {
  /// All that a run changes, for a file.
  var stored: [StoredTensor] {
    let groups = [("parameter/", parameters), ("frozen/", frozen), ("running/", running)]
    return groups.flatMap { prefix, tensors in
      tensors.sorted { $0.key < $1.key }.map { StoredTensor(name: prefix + $0.key, $0.value, as: .f32) }
    } + [StoredTensor(name: "draws", Tensor<Double>(shape: [], elements: [Double(drawCount)]), as: .f64)]
  }

  /// Takes what another run of the same network and options stored.
  ///
  /// - Throws: `Failure` where something is missing or of another shape.
  mutating func restore(_ stored: [StoredTensor]) throws {
    let named = Dictionary(stored.map { ($0.name, $0) }) { first, _ in first }
    func restored(_ tensors: [String: Tensor<Float>], _ prefix: String) throws -> [String: Tensor<Float>] {
      try Dictionary(
        uniqueKeysWithValues: tensors.map { name, tensor in
          guard let known = named[prefix + name], known.shape == tensor.shape else {
            throw Failure(
              "the state of '\(name)'", "cannot be restored", "it is missing or has another shape",
              remedy: "begin anew without --resume")
          }
          return (name, try known.decoded())
        })
    }
    parameters = try restored(parameters, "parameter/")
    frozen = try restored(frozen, "frozen/")
    running = try restored(running, "running/")
    guard let count = try named["draws"]?.decoded(as: Double.self).elements.first.flatMap({ Int(exactly: $0) }) else {
      throw Failure("the state", "cannot be restored", "the count of draws is missing")
    }
    drawCount = count
  }
}

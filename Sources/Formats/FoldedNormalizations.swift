import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// Batch normalisations that an export has folded into the kernels before them, told by their numbers: W' = s W and b' = beta + s (b - mean) for
/// every output channel, with s = gamma / sqrt(variance + epsilon). PyTorch's exporters do so, and keep the kernels' names.
struct FoldedNormalizations {
  /// What a node of the export stands for.
  struct Folding {
    /// The kernel before it was scaled, as the node reads it.
    let kernel: TensorReference
    /// The layer of the kernel.
    let layer: String?
    let bias: TensorReference?
    let normalization: Normalization
    let epsilon: Double
  }

  /// A batch normalisation of the checkpoint.
  struct Normalization {
    /// What the names of its tensors begin with, the dot included.
    let prefix: String
    let hasGamma: Bool
    let hasBeta: Bool
    fileprivate let gamma: [Double]
    fileprivate let beta: [Double]
    fileprivate let mean: [Double]
    fileprivate let variance: [Double]
  }

  /// The foldings by the names of the export's kernels.
  private(set) var byKernel: [String: Folding] = [:]
  /// The export's tensors that are what foldings made.
  private(set) var made: Set<String> = []

  private let checkpoint: Checkpoint
  private let normalizations: [Normalization]
  private let factored: FactoredKernels
  /// How far the compressed layers' kernels are from the original's at most, by the layers' names.
  private let promises: [String: Double]

  /// The values of epsilon that people use, PyTorch's own first.
  private static let epsilons = [1e-5, 1e-3, 1e-4, 1e-6, 2e-5, 1e-8, 1e-12, 1e-2, 0]

  /// Looks through the nodes of an export whose kernels the checkpoint does not have as they are.
  ///
  /// - Parameters:
  ///   - isKnown: whether a tensor of the export has the same numbers in the checkpoint.
  ///   - used: the checkpoint's tensors that the export has as they are; a normalisation among them was not folded.
  init(
    _ export: Checkpoint, _ graph: ModelGraph, _ checkpoint: Checkpoint, factored: FactoredKernels,
    promises: [String: Double],
    isKnown: (String) -> Bool, used: Set<String>
  ) throws {
    self.checkpoint = checkpoint
    self.factored = factored
    self.promises = promises
    normalizations = try Self.normalizations(of: checkpoint).filter { !used.contains($0.prefix + "running_mean") }
    let candidates = graph.nodes.compactMap(\.kernelUse).filter { use in
      !isKnown(use.kernel.name) || !(use.bias.map { isKnown($0.name) } ?? true)
    }
    guard !normalizations.isEmpty, !candidates.isEmpty else { return }
    for use in candidates where byKernel[use.kernel.name] == nil {
      guard let folding = try folding(of: use, in: export) else { continue }
      byKernel[use.kernel.name] = folding
      made.insert(use.kernel.name)
      if let bias = use.bias { made.insert(bias.name) }
    }
  }

  private static func normalizations(of checkpoint: Checkpoint) throws -> [Normalization] {
    let suffix = "running_mean"
    return try checkpoint.tensors.filter { $0.name.hasSuffix(suffix) }.compactMap { mean in
      let prefix = String(mean.name.dropLast(suffix.count))
      func values(_ name: String) throws -> [Double]? {
        try checkpoint.tensor(named: prefix + name).map { try $0.decoded(as: Double.self).elements }
      }
      let own = try mean.decoded(as: Double.self).elements
      guard let variance = try values("running_var"), variance.count == own.count else { return nil }
      let (gamma, beta) = (try values("weight"), try values("bias"))
      guard (gamma ?? own).count == own.count, (beta ?? own).count == own.count else { return nil }
      return Normalization(
        prefix: prefix, hasGamma: gamma != nil, hasBeta: beta != nil,
        gamma: gamma ?? own.map { _ in 1 }, beta: beta ?? own.map { _ in 0 }, mean: own, variance: variance)
    }
  }

  /// What a node's kernel was before a normalisation was folded into it; nil where nothing in the checkpoint explains it.
  private func folding(of use: KernelUse, in export: Checkpoint) throws -> Folding? {
    let (kernel, bias, axis) = (use.kernel, use.bias, use.outputMode)
    let folded: Tensor<Double> = try export.parameter(kernel)
    guard folded.shape.count > axis else { return nil }
    let channels = folded.shape[axis]
    let offsets: [Double] = try bias.map { try export.parameter($0).elements } ?? Array(repeating: 0, count: channels)
    guard offsets.count == channels else { return nil }
    let sources = self.sources(of: kernel, shape: export.tensor(named: kernel.name)?.shape ?? [])
    let own = checkpoint.content.layerName(ofKernel: kernel.name)
    var best: (folding: Folding, distance: Double)?
    for normalization in normalizations where normalization.mean.count == channels {
      for epsilon in Self.epsilons {
        let scale = zip(normalization.gamma, normalization.variance).map { $0 / ($1 + epsilon).squareRoot() }
        for source in sources {
          let before = source.bias.map { $0.values } ?? Array(repeating: 0, count: channels)
          guard before.count == channels,
            zip(offsets.indices, offsets).allSatisfy({ channel, offset in
              let shift = scale[channel] * (before[channel] - normalization.mean[channel])
              let size = abs(normalization.beta[channel]) + abs(shift) + abs(scale[channel] * before[channel])
              return abs(normalization.beta[channel] + shift - offset) <= tolerance * (size + 1e-2)
            })
          else { continue }
          let distance = try source.distance(to: folded, scale: scale, axis: axis)
          guard distance <= source.allowed else { continue }
          // Of normalisations with the same numbers the export's own name tells nothing either; any of them is right.
          let rank = distance + (source.layer == own ? 0 : 1e-9)
          guard rank < best?.distance ?? .infinity else { continue }
          best = (
            Folding(
              kernel: source.reference, layer: source.layer, bias: source.bias?.reference, normalization: normalization,
              epsilon: epsilon), rank
          )
        }
      }
    }
    return best?.folding
  }

  /// What a compressed kernel may be away from the original at most, where a plan promised a discrepancy.
  private static func allowed(_ promised: Double) -> Double { promised * 1.5 + 0.05 }

  /// What numbers may differ by, relative to their size, where one file has rounded them to a type of its own.
  private var tolerance: Double { max(2e-5, 8 * checkpoint.content.computedType.unitRoundoff) }

  // MARK: Kernels that may have been scaled

  private struct Source {
    let reference: TensorReference
    let layer: String?
    let bias: (reference: TensorReference, values: [Double])?
    /// The kernel's numbers, in the program's order.
    let kernel: () throws -> Tensor<Double>
    /// What the scaled kernel may be away from the folded one at most, relative to that.
    let allowed: Double

    func distance(to folded: Tensor<Double>, scale: [Double], axis: Int) throws -> Double {
      let own = try kernel()
      guard own.shape == folded.shape else { return .infinity }
      let stride = own.shape[(axis + 1)...].reduce(1, *)
      var (difference, size) = (0.0, 0.0)
      for (index, value) in folded.elements.enumerated() {
        let rest = scale[index / stride % scale.count] * own.elements[index] - value
        difference += rest * rest
        size += value * value
      }
      return size > 0 ? (difference / size).squareRoot() : difference.squareRoot()
    }
  }

  private func sources(of kernel: TensorReference, shape: [Int]) -> [Source] {
    let stored = checkpoint.tensors.filter { $0.shape == shape && $0.dtype.isCompressible }
      .map { tensor -> Source in
        let reference = kernel.renamed(tensor.name)
        let layer = checkpoint.content.layerName(ofKernel: tensor.name)
        let biasName = tensor.name.hasSuffix("weight") ? tensor.name.dropLast("weight".count) + "bias" : ""
        return Source(
          reference: reference, layer: layer, bias: bias(named: String(biasName)),
          kernel: { try checkpoint.parameter(reference) },
          allowed: layer.flatMap { promises[$0] }.map(Self.allowed) ?? tolerance)
      }
    return stored
      + factored.all.map { layer, kernel in
        // The kernel is gone: its factors are near it, as near as was promised.
        let biasName = layer.stages.sequentialTensors.first { $0.role == .bias }.map { "\(layer.name).\($0.suffix)" }
        return Source(
          reference: TensorReference("\(layer.name).weight"), layer: layer.name, bias: biasName.flatMap(bias(named:)),
          kernel: { kernel }, allowed: Self.allowed(layer.promised))
      }
  }

  private func bias(named name: String) -> (reference: TensorReference, values: [Double])? {
    guard let tensor = checkpoint.tensor(named: name), tensor.shape.count == 1,
      let values = try? tensor.decoded(as: Double.self).elements
    else { return nil }
    return (TensorReference(name), values)
  }
}

/// How a node uses a kernel.
private struct KernelUse {
  let kernel: TensorReference
  let bias: TensorReference?
  /// The mode of the kernel, in the program's order, that counts the output channels.
  let outputMode: Int
}

extension Node {
  /// The name of the kernel that the node applies; nil for any other node.
  var kernelName: String? { kernelUse?.kernel.name }

  fileprivate var kernelUse: KernelUse? {
    switch operation {
    case .convolution(let convolution, _, let kernel, let bias):
      convolution.batch == 1 ? KernelUse(kernel: kernel, bias: bias, outputMode: 0) : nil
    case .transposedConvolution(let convolution):
      convolution.groups == 1 ? KernelUse(kernel: convolution.kernel, bias: convolution.bias, outputMode: 1) : nil
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization, .repetition,
      .channelPermutation, .bias, .identity, .array, .unsupported:
      nil
    }
  }

  /// The same kernel use of other tensors.
  fileprivate func applying(_ kernel: TensorReference, bias: TensorReference?) -> Operation {
    switch operation {
    case .convolution(let convolution, let layout, _, _):
      return .convolution(convolution, layout: layout, kernel: kernel, bias: bias)
    case .transposedConvolution(var convolution):
      (convolution.kernel, convolution.bias) = (kernel, bias)
      return .transposedConvolution(convolution)
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization, .repetition,
      .channelPermutation, .bias, .identity, .array, .unsupported:
      return operation
    }
  }

  /// The axis of the channels that the node makes, for a node that applies a kernel.
  fileprivate var outputAxis: Int {
    switch operation {
    case .convolution(let convolution, let layout, _, _):
      convolution.spatialOrder > 0 && layout == .channelsFirst ? 1 : -1
    case .transposedConvolution(let convolution): convolution.layout == .channelsFirst ? 1 : -1
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization, .repetition,
      .channelPermutation, .bias, .identity, .array, .unsupported:
      -1
    }
  }
}

extension FoldedNormalizations.Folding {
  /// The nodes that a node of the export stands for: its kernel as the checkpoint has it, and the normalisation behind it, which takes
  /// the node's place for whatever reads it.
  func nodes(for node: Node) -> [Node] {
    let name = node.name + " before normalization"
    func tensor(_ leaf: String) -> TensorReference { TensorReference(normalization.prefix + leaf) }
    return [
      Node(name: name, layer: layer ?? node.layer, operation: node.applying(kernel, bias: bias), inputs: node.inputs),
      Node(
        name: node.name, layer: String(normalization.prefix.dropLast()),
        operation: .batchNormalization(
          axis: node.outputAxis, epsilon: epsilon, gamma: normalization.hasGamma ? tensor("weight") : nil,
          beta: normalization.hasBeta ? tensor("bias") : nil, mean: tensor("running_mean"),
          variance: tensor("running_var")), inputs: [name]),
    ]
  }
}

import Basics
import Checkpoints
import Decompositions
import Formats
import ModelGraph
import Running
import TensorCore

/// Networks in which a structure has taken the place of every layer that it can, to be timed: the stages are such as plans choose, the
/// weights are random.
struct FactoredNetworks {
  private let checkpoint: Checkpoint
  /// For each network its name and the stages of its layers.
  let variants: [(name: String, stages: [String: [Stage]])]

  /// How many times fewer parameters than the dense kernels'.
  private static let ratios = [2.0, 6.0]
  /// The proposals of a structure among which the layers take turns.
  private static let proposalCount = 4
  /// Splits that are dearer to score are left out; they would not be chosen.
  private static let spectrumWork = 1e7

  /// Looks for proposals of every structure for every layer.
  ///
  /// - Throws: `Failure` where a kernel cannot be read.
  static func sampled(
    of checkpoint: Checkpoint, workers: Workers, progress: ProgressHandler
  ) throws -> FactoredNetworks {
    let layers = checkpoint.layers.filter { $0.refusal == nil && $0.convolution.parameterCount > 1 }
    let distinct = Array(Dictionary(layers.map { (Key($0), $0) }) { first, _ in first }).sorted {
      $0.value.name < $1.value.name
    }
    let counter = Counter()
    let found = try workers.map(distinct) { key, layer in
      defer { progress("stages", counter.next(), of: distinct.count, layer.name) }
      return (key, try samples(layer, checkpoint))
    }
    let choices = Dictionary(uniqueKeysWithValues: found)
    let variants = Structures.all.flatMap { structure in
      ratios.map { ratio in
        let name = "\(structure.name) 1/\(Int(ratio))"
        var stages: [String: [Stage]] = [:]
        for (position, layer) in layers.enumerated() {
          guard let proposals = choices[Key(layer)]?[name], !proposals.isEmpty else { continue }
          stages[layer.name] = proposals[position % proposals.count]
        }
        return (name: name, stages: stages)
      }
    }.filter { !$0.stages.isEmpty }
    return FactoredNetworks(checkpoint: checkpoint, variants: variants)
  }

  /// Layers that have the same candidates.
  private struct Key: Hashable {
    let kernelShape: [Int]
    let window: String
    let hasBias: Bool

    init(_ layer: Layer) {
      kernelShape = layer.kernelShape + [layer.convolution.groups]
      window = "\(layer.convolution.window)"
      hasBias = layer.bias != nil
    }
  }

  private static func samples(_ layer: Layer, _ checkpoint: Checkpoint) throws -> [String: [[Stage]]] {
    let search = try PatternSearch(
      checkpoint.kernel(of: layer), convolution: layer.convolution, hasBias: layer.bias != nil,
      spectrumWork: spectrumWork
    ) { checkpoint.refusal(of: $1, for: layer) == nil }
    var result: [String: [[Stage]]] = [:]
    for structure in Structures.all {
      for ratio in ratios {
        result["\(structure.name) 1/\(Int(ratio))"] = try search.samples(
          of: structure, parameters: Int(Double(layer.convolution.parameterCount) / ratio), count: proposalCount)
      }
    }
    return result
  }

  /// The network as it would be read from its file.
  ///
  /// - Throws: `Failure` where the file cannot be written.
  func checkpoint(of variant: (name: String, stages: [String: [Stage]])) throws -> Checkpoint {
    var generator = SplitMix64(seed: 0)
    let replacements = variant.stages.sorted { $0.key < $1.key }.map { layer, stages in
      Replacement(
        layer: layer, structure: variant.name, stages: stages,
        weights: stages.convolutions.map { Tensor(gaussian: $0.kernelShape, using: &generator).balanced })
    }
    return try checkpoint.rereading(replacing: replacements, record: nil, as: checkpoint.path)
  }
}

extension Tensor<Double> {
  /// A random kernel that keeps the size of what it is applied to: numbers that are tiny or infinite would take other times.
  fileprivate var balanced: Tensor {
    let scale = 1 / Double(Swift.max(1, shape.dropFirst().reduce(1, *))).squareRoot()
    return Tensor(shape: shape, elements: elements.map { $0 * scale })
  }
}

import Basics
import Checkpoints
import Decompositions
import Inference
import Keras
import ModelGraph
import TensorCore
import Testing

@testable import Keras

/// Small models as Keras writes them, with seeded weights.
struct KerasForm {
  /// Which version of Keras the model is in the form of.
  enum Version: String, CaseIterable { case two = "2.9.0", three = "3.4.0" }

  let version: Version

  /// One call of a layer on tensors, each `layer` or `layer:call`.
  typealias Call = [String]

  /// - Parameter calls: Nil in a Sequential.
  func layer(_ className: String, _ name: String, _ settings: JSONObject = [:], _ calls: [Call]? = nil) -> JSON {
    var config: JSONObject = [
      "name": .string(name), "trainable": true,
      "dtype": version == .two
        ? "float32" : ["module": "keras", "class_name": "DTypePolicy", "config": ["name": "float32"]],
    ]
    for (key, value) in settings.pairs { config[key] = value }
    var entry: JSONObject = ["class_name": .string(className), "config": .object(config)]
    guard let calls else { return .object(entry) }
    entry["name"] = .string(name)
    entry["inbound_nodes"] = .array(calls.map(node))
    return .object(entry)
  }

  func input(_ name: String, _ shape: [Int?], _ calls: [Call]? = nil) -> JSON {
    let key = version == .two ? "batch_input_shape" : "batch_shape"
    return layer("InputLayer", name, [key: .array(([nil] + shape).map { .optional($0, JSON.integer) })], calls)
  }

  func conv(
    _ order: Int, _ name: String, _ filters: Int, _ kernel: [Int], _ settings: JSONObject = [:], _ calls: [Call]? = nil
  ) -> JSON {
    var all: JSONObject = [
      "filters": .integer(filters), "kernel_size": .integers(kernel), "strides": .integers(kernel.map { _ in 1 }),
      "padding": "same", "data_format": "channels_last", "dilation_rate": .integers(kernel.map { _ in 1 }),
      "activation": "linear", "use_bias": true, "kernel_regularizer": nil,
    ]
    for (key, value) in settings.pairs { all[key] = value }
    return layer("Conv\(order)D", name, all, calls)
  }

  func dense(_ name: String, _ units: Int, _ activation: JSON, _ calls: [Call]? = nil) -> JSON {
    layer("Dense", name, ["units": .integer(units), "activation": activation, "use_bias": true], calls)
  }

  func model(_ name: String, sequential layers: [JSON]) -> JSON {
    ["class_name": "Sequential", "config": ["name": .string(name), "layers": .array(layers)]]
  }

  func model(_ name: String, _ layers: [JSON], inputs: [String], outputs: [String]) -> JSON {
    [
      "class_name": "Functional",
      "config": [
        "name": .string(name), "layers": .array(layers),
        "input_layers": .array(inputs.map { .array(history($0)) }),
        "output_layers": .array(outputs.map { .array(history($0)) }),
      ],
    ]
  }

  /// A model as a layer.
  func nested(_ model: JSON, _ name: String, _ calls: [Call]) -> JSON {
    var entry = model.object ?? [:]
    entry["name"] = .string(name)
    entry["inbound_nodes"] = .array(calls.map(node))
    return .object(entry)
  }

  private func history(_ tensor: String) -> [JSON] {
    let parts = tensor.split(separator: ":")
    return [.string(String(parts[0])), .integer(parts.count > 1 ? Int(parts[1]) ?? 0 : 0), 0]
  }

  private func node(_ call: Call) -> JSON {
    guard version == .three else { return .array(call.map { .array(history($0) + [[:]]) }) }
    let tensors = call.map { tensor -> JSON in
      [
        "class_name": "__keras_tensor__",
        "config": ["shape": [nil], "dtype": "float32", "keras_history": .array(history(tensor))],
      ]
    }
    return ["args": tensors.count == 1 ? .array(tensors) : [.array(tensors)], "kwargs": [:]]
  }

  /// A group whose weights are named as this version does: `layer/kernel`.
  func group(_ name: String, _ weights: [(String, [Int])]) -> KerasFile.LayerGroup {
    var generator = SplitMix64(seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    return KerasFile.LayerGroup(
      name: name,
      weights: weights.map { path, shape in
        let values = Tensor<Double>(gaussian: shape, using: &generator).map {
          path.hasSuffix("variance") ? 0.5 + abs($0) : 0.3 * $0
        }
        return StoredTensor(name: "\(name)/\(path)" + (version == .two ? ":0" : ""), values, as: .f32)
      })
  }

  /// A layer without weights.
  func group(_ name: String) -> KerasFile.LayerGroup { KerasFile.LayerGroup(name: name, weights: []) }

  /// A layer with a kernel and a bias.
  func group(_ name: String, _ kernel: [Int]) -> KerasFile.LayerGroup {
    group(name, [("\(name)/kernel", kernel), ("\(name)/bias", [kernel[kernel.count - 1]])])
  }

  func file(_ model: JSON, _ groups: [KerasFile.LayerGroup]) -> KerasFile {
    KerasFile(
      modelConfig: model, kerasVersion: version.rawValue, backend: "tensorflow", layers: groups,
      topLevelWeights: version == .two ? nil : [], isWeightsOnly: false, hasOptimizerState: true, record: nil)
  }
}

// MARK: Replacing and running

extension KerasGraph {
  /// Replacements of a layer by these structures' first proposals that Keras can express, with random weights.
  func replacements(
    of layer: Layer, _ structures: [any Structure] = Structures.all, limit: Int = 6
  ) throws -> [Replacement] {
    var generator = SplitMix64(seed: 11)
    let convolution = layer.convolution
    let shape = [convolution.kernelShape[0] / convolution.groups] + convolution.kernelShape.dropFirst()
    let spectra = KernelSpectra(Tensor(gaussian: shape, using: &generator))
    return try structures.flatMap { structure in
      try structure.proposals(spectra, parameters: convolution.parameterCount / convolution.groups).prefix(limit)
        .compactMap {
          pattern in
          let stages = Lowering(pattern, groups: convolution.groups).stages(
            window: convolution.window, transposition: convolution.transposition,
            biasChannels: layer.bias == nil ? nil : convolution.outputChannels)
          guard let stages, KerasEditor(self).refusal(of: stages, for: layer) == nil else { return nil }
          let weights = stages.convolutions.map { convolution in
            Tensor<Double>(gaussian: convolution.kernelShape, using: &generator)
              .map { $0 / Double(convolution.kernelShape[1]).squareRoot() }
          }
          return Replacement(layer: layer.name, structure: structure.name, stages: stages, weights: weights)
        }
    }
  }

  /// What the network gives for seeded inputs; unknown extents are `open`.
  func outputs(open: Int = 7) throws -> [Tensor<Float>] {
    try Self.run(try #require(graph), tensorsByName, open: open)
  }

  /// The same with the engine's own reading of replacements, which is independent of how Keras says them.
  func outputs(replacing replacements: [Replacement], open: Int = 7) throws -> [Tensor<Float>] {
    var graph = try #require(graph)
    var tensors = tensorsByName
    for replacement in replacements {
      let layer = try #require(layers.first { $0.name == replacement.layer })
      let factors = replacement.weights.enumerated().map { index, weight in
        let name = "\(layer.name) factor \(index)"
        tensors[name] = StoredTensor(name: name, weight, as: .f32)
        return TensorReference(name)
      }
      graph = graph.replacing(layer: layer.name, with: replacement.stages, factors: factors, bias: layer.bias)
    }
    return try Self.run(graph, tensors, open: open)
  }

  var tensorsByName: [String: StoredTensor] {
    Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  private static func run(
    _ graph: ModelGraph, _ tensors: [String: StoredTensor], open: Int
  ) throws -> [Tensor<Float>] {
    let engine = try Engine(graph) { reference in
      try reference.read(try #require(tensors[reference.name]).decoded(as: Float.self))
    }
    var generator = SplitMix64(seed: 3)
    let inputs = graph.inputs.map { input in
      let shape = [2] + input.shape.dropFirst().map { $0 ?? open }
      return (input.name, Tensor<Float>(gaussian: shape, using: &generator))
    }
    return try engine.run(Dictionary(uniqueKeysWithValues: inputs))
  }
}

/// Sums of at most some hundred float products in another order: each addition rounds by 2^-24 of its result, and the
/// errors add like a random walk, so the norms differ by far less than 2^-24 times the number of terms.
let reorderedSums = 1e-5

func expectSame(
  _ actual: [Tensor<Float>], _ expected: [Tensor<Float>], _ comment: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, sourceLocation: sourceLocation)
  for (actual, expected) in zip(actual, expected) {
    guard actual.shape == expected.shape else {
      Issue.record("\(comment()): \(actual.shape), not \(expected.shape)", sourceLocation: sourceLocation)
      continue
    }
    let discrepancy = actual.relativeDiscrepancy(from: expected)
    let text = comment()
    #expect(discrepancy <= reorderedSums, "\(text)", sourceLocation: sourceLocation)
  }
}

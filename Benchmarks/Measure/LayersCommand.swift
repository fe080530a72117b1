import ArgumentParser
import Basics
import Decompositions
import Inference
import ModelGraph

/// How long layers take in the engine, dense and factored by each structure.
struct LayersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "layers")

  @Option(help: "How many times fewer parameters than the dense kernel.") var ratio = 3.0
  @Option var repetitions = 15

  /// Kernel and input extents of an early, a middle and a late layer.
  private static let layers = [
    ([32, 32, 3, 3], [32, 32]), ([128, 128, 3, 3], [16, 16]), ([256, 256, 3, 3], [8, 8]),
  ]

  func run() throws {
    var rows: [JSON] = []
    for (shape, extents) in Self.layers {
      let layer = Convolution(kernelShape: shape, window: Window(stride: [1, 1], dilation: [1, 1], padding: .same))
      let dense = try median([.convolution(layer)], input: [shape[1]] + extents)
      rows.append(row("dense", shape, extents, [.convolution(layer)], dense, dense))
      let search = try PatternSearch(
        randomKernel(shape, seed: 1), convolution: layer, hasBias: false, spectrumWork: 1e9)
      for structure in Structures.all {
        let limit = Int(Double(layer.parameterCount) / ratio)
        guard let stages = try search.stages(structure, parameters: limit) else { continue }
        rows.append(
          row(structure.name, shape, extents, stages, try median(stages, input: [shape[1]] + extents), dense))
      }
    }
    print(JSON.array(rows).text(.indented))
  }

  private func row(
    _ structure: String, _ shape: [Int], _ extents: [Int], _ stages: [Stage], _ time: Double, _ dense: Double
  ) -> JSON {
    [
      "structure": .string(structure), "shape": .integers(shape), "input": .integers(extents),
      "parameters": .integer(stages.parameterCount), "macs": .integer(stages.macs(inputExtents: extents)),
      "milliseconds": .real(1000 * time), "speed": .real(dense / time),
    ]
  }

  /// Seconds for a batch of 16 on one thread.
  private func median(_ stages: [Stage], input: [Int]) throws -> Double {
    let engine = try Engine(
      ModelGraph(
        stages: stages, layer: "layer", inputShape: [nil] + Array(input.dropFirst()) + [input[0]],
        layout: .channelsLast,
        factors: stages.convolutions.indices.map { TensorReference("\($0)") }, bias: nil)
    ) { reference in
      let convolutions = stages.convolutions
      return randomKernel(convolutions[Int(reference.name) ?? 0].kernelShape, seed: 2).converted(to: Float.self)
    }
    let batch = randomKernel([16] + Array(input.dropFirst()) + [input[0]], seed: 3).converted(to: Float.self)
    _ = try engine.run(["input": batch])
    let times = try (0..<repetitions).map { _ in try seconds { _ = try engine.run(["input": batch]) } }
    return times.sorted()[repetitions / 2]
  }
}

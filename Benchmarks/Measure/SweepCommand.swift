import ArgumentParser
import Basics
import Decompositions
import Inference
import ModelGraph
import Running
import TensorCore

/// The singular values of a random kernel under every shape of a sum of Kronecker products.
struct SpectrumCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "spectrum")

  @Argument var shape: Extents
  @Option var threads = 2

  func run() throws {
    let kernel = randomKernel(shape.values, seed: 1)
    let shapes = GKPD.shapes(of: shape.values).map { $0[0] }
    let workers = Workers(count: threads)
    let time = try seconds {
      _ = try workers.map(shapes) { try KernelSpectra(kernel).tails(leading: $0).count }
    }
    print(JSON.object(["seconds": .real(time), "shapes": .integer(shapes.count)]).text(.compact))
  }
}

/// The curves of all structures for random kernels of ResNet-18's shapes.
struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "sweep")

  @Option var threads = 2
  @Option(help: "Structures, separated by commas.") var structures = Structures.all.map(\.name).joined(separator: ",")

  func run() throws {
    let names = try structures.split(separator: ",").map { try Structures.named(String($0)) }
    let kernels = Array(Self.resNet18.enumerated()).sorted { $0.element.reduce(1, *) > $1.element.reduce(1, *) }
    var counts: [Int] = []
    let time = try seconds {
      counts = try Workers(count: threads).map(kernels) { index, shape in
        let kernel = randomKernel(shape, seed: UInt64(index))
        let layer = Convolution(kernelShape: shape, window: .unit(2))
        return try Sweep(structures: names).candidates(for: kernel, convolution: layer, hasBias: false).count
      }
    }
    print(
      JSON.object([
        "seconds": .real(time), "layers": .integer(kernels.count), "candidates": .integer(counts.reduce(0, +)),
        "parameters": .integer(Self.resNet18.reduce(0) { $0 + $1.reduce(1, *) }),
      ]).text(.compact))
  }

  /// (out, in, height, width) of every convolution.
  private static let resNet18: [[Int]] = {
    var shapes = [[64, 3, 7, 7]]
    var inputs = 64
    for outputs in [64, 128, 256, 512] {
      shapes += [[outputs, inputs, 3, 3]] + Array(repeating: [outputs, outputs, 3, 3], count: 3)
      if outputs > inputs { shapes.append([outputs, inputs, 1, 1]) }
      inputs = outputs
    }
    return shapes
  }()
}

func randomKernel(_ shape: [Int], seed: UInt64) -> Tensor<Double> {
  var generator = SplitMix64(seed: seed)
  return Tensor(gaussian: shape, using: &generator)
}

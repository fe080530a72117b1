import ArgumentParser
import Basics
import Decompositions
import Formats
import LinearAlgebra
import TensorCore

/// Fits one pattern to a kernel from a file, so that another library can fit the same.
struct FitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "fit")

  @Argument(help: "A .npy file with the kernel (out, in, spatial...).")
  var kernel: String

  @Option var structure: String
  @Option(help: "The factors' shapes: 512x1x1x1,1x512x1x1,1x1x3x3.") var shapes: String
  @Option var ranks: String
  @Option(help: "Passes over all factors; 0 leaves the start as it is.") var sweeps: Int
  @Option(help: "Threads of the linear algebra.") var threads = 2

  func run() throws {
    BLAS.setThreadCount(threads)
    guard let array: Tensor<Double> = try DataFile.read(kernel).first.map({ try $0.decoded() }) else {
      throw Failure(kernel, "cannot be used", "it holds no array")
    }
    let factorShapes = shapes.split(separator: ",").compactMap { Extents(argument: String($0))?.values }
    let pattern = try Structures.named(structure).pattern(
      shapes: factorShapes, ranks: ranks.split(separator: ",").compactMap { Int($0) }, kernelShape: array.shape)
    var fit: Fit?
    let time = try seconds {
      let fitting = Fitting(try FitObjective(array))
      fit = try fitting.fit(pattern, of: Structures.named(structure), sweeps: sweeps)
    }
    print(
      JSON.object([
        "seconds": .real(time), "discrepancy": .real(fit?.discrepancy ?? .nan), "sweeps": .integer(fit?.sweeps ?? 0),
        "parameters": .integer(pattern.parameterCount),
      ]).text(.compact))
  }
}

/// The rate of matrix products, to which a fit's is compared.
struct ProductCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "product")

  @Option var size = 2048
  @Option var threads = 2

  func run() throws {
    BLAS.setThreadCount(threads)
    print(
      JSON.object([
        "single": .real(rate(Float.self)), "double": .real(rate(Double.self)), "kernel": .string(BLAS.coreName),
      ])
      .text(.compact))
  }

  /// GFLOP/s, the best of five.
  private func rate<Scalar: BLASScalar>(_: Scalar.Type) -> Double {
    let matrix = Tensor<Scalar>(shape: [size, size], elements: (0..<size * size).map { Scalar($0 % 17) })
    let best = (0..<5).map { _ in seconds { _ = matrix.times(matrix) } }.min() ?? 1
    return 2 * Double(size * size * size) / best / 1e9
  }
}

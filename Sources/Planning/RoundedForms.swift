import Decompositions
import Foundation
import ModelGraph
import Rounding
import TensorCore

/// What a layer's dense kernel and its candidates lose when their weights are rounded.
///
/// Some candidates of every structure are rounded in some widths, as they would be by themselves. What that adds to their squared
/// discrepancies, as a part of what Gaussian numbers lose in that width, changes smoothly with the size of a structure and with the width: a straight
/// line over the logarithms stands for the others.
struct RoundedForms {
  let layer: Layer
  let widths: [BitWidth]
  /// What the format has for a width.
  private let storage: (BitWidth) -> WeightStorage
  private let kernel: Tensor<Double>
  private let objectives: [FitObjective]
  private let norm: FitNorm?
  private let seed: UInt64

  /// The candidates of a structure that are rounded.
  private static let anchorCount = 3
  /// The widths in which they are rounded, where more than three are wanted.
  private static let anchorWidths: [BitWidth] = [.two, .four, .six]

  /// The passes over rounded factors: fewer than those that are written have.
  private static let passes = 1

  /// What rounding adds to the squares of the two discrepancies, in units of what Gaussian numbers lose.
  private struct Noise {
    let kernel: Double
    let output: Double

    /// Fits that rounding has improved on the way lose next to nothing.
    static let least = 0.02

    /// - Parameters:
    ///   - kernel, output: what is added.
    init(kernel: Double, output: Double, width: BitWidth) {
      self.init(kernel: kernel / width.gaussianNoise, output: output / width.gaussianNoise)
    }

    private init(kernel: Double, output: Double) {
      self.kernel = max(Self.least, kernel)
      self.output = max(Self.least, output)
    }

    /// The noise on the line through two others, over the logarithms.
    func mixed(with other: Noise, part: Double) -> Noise {
      Noise(
        kernel: pow(kernel, 1 - part) * pow(other.kernel, part), output: pow(output, 1 - part) * pow(other.output, part)
      )
    }
  }

  init(
    _ layer: Layer, _ kernel: Tensor<Double>, norm: FitNorm?, widths: [BitWidth],
    storage: @escaping (BitWidth) -> WeightStorage,
    seed: UInt64
  ) throws {
    self.layer = layer
    self.widths = widths
    self.storage = storage
    self.kernel = kernel
    self.norm = norm
    self.seed = seed
    objectives = try layer.objectives(kernel, norm: norm)
  }

  /// The dense kernel and all candidates in all widths.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func forms(of candidates: [Candidate]) throws -> [LayerChoices.Form] {
    var forms: [LayerChoices.Form] = []
    for (width, noise) in try interpolated(denseNoise) {
      forms.append(form(nil, width, noise))
    }
    for (_, own) in Dictionary(grouping: candidates, by: \.structure).sorted(by: { $0.key < $1.key }) {
      forms += try structureForms(
        own.sorted { ($0.parameterCount, $0.outputDiscrepancy) < ($1.parameterCount, $1.outputDiscrepancy) })
    }
    return forms
  }

  /// - Parameter candidates: of one structure, by ascending parameters.
  private func structureForms(_ candidates: [Candidate]) throws -> [LayerChoices.Form] {
    let anchors = Self.anchors(candidates)
    let measured = try anchors.map { anchor in
      let candidate = candidates[anchor]
      let factors =
        try candidate.factorizations
        ?? candidate.fit(kernel, norm: norm, seed: seed, effort: .sweep).factorizations
      return try interpolated { width in
        let rounded = try RoundedLayer(
          factors, of: candidate, towards: objectives, storage: storage(width), passes: Self.passes)
        return noise(rounded, beside: candidate, width)
      }
    }
    return candidates.indices.flatMap { index -> [LayerChoices.Form] in
      let upper = anchors.firstIndex { $0 >= index } ?? anchors.count - 1
      let lower = anchors[upper] == index ? upper : max(0, upper - 1)
      let part = Self.part(
        of: candidates[index].parameterCount, between: candidates[anchors[lower]].parameterCount,
        and: candidates[anchors[upper]].parameterCount)
      return widths.indices.map { width in
        form(
          candidates[index], widths[width],
          measured[lower][width].noise.mixed(with: measured[upper][width].noise, part: part))
      }
    }
  }

  /// The places of candidates that are spread evenly over the logarithm of their parameters, the first and the last among them.
  private static func anchors(_ candidates: [Candidate]) -> [Int] {
    guard candidates.count > anchorCount, let first = candidates.first, let last = candidates.last else {
      return Array(candidates.indices)
    }
    let (low, high) = (log(Double(first.parameterCount)), log(Double(last.parameterCount)))
    let places = (0..<anchorCount).map { step -> Int in
      let target = low + (high - low) * Double(step) / Double(anchorCount - 1)
      return candidates.indices.min {
        abs(log(Double(candidates[$0].parameterCount)) - target)
          < abs(log(Double(candidates[$1].parameterCount)) - target)
      } ?? 0
    }
    return Set(places + [0, candidates.count - 1]).sorted()
  }

  private static func part(of value: Int, between low: Int, and high: Int) -> Double {
    guard high > low else { return 0 }
    return log(Double(value) / Double(low)) / log(Double(high) / Double(low))
  }

  /// The noise at every width, measured at some of them.
  private func interpolated(
    _ measure: (BitWidth) throws -> Noise
  ) throws -> [(width: BitWidth, noise: Noise)] {
    let anchors = widths.count <= 3 ? widths : widths.filter { Self.anchorWidths.contains($0) || $0 == widths.first }
    let measured = try anchors.map { ($0, try measure($0)) }
    return widths.map { width in
      let upper = measured.firstIndex { $0.0 >= width } ?? measured.count - 1
      // Beyond the last one it is the same part.
      let lower = measured[upper].0 <= width ? upper : max(0, upper - 1)
      let span = measured[upper].0.rawValue - measured[lower].0.rawValue
      let part = span == 0 ? 0 : Double(width.rawValue - measured[lower].0.rawValue) / Double(span)
      return (width, measured[lower].1.mixed(with: measured[upper].1, part: part))
    }
  }

  private func denseNoise(_ width: BitWidth) throws -> Noise {
    let rounded = try RoundedLayer(dense: objectives, of: layer.convolution, storage: storage(width))
    let (own, output) = (rounded.discrepancy(from: kernel), rounded.outputDiscrepancy)
    return Noise(kernel: own * own, output: output * output, width: width)
  }

  private func noise(_ rounded: RoundedLayer, beside candidate: Candidate, _ width: BitWidth) -> Noise {
    let (own, output) = (rounded.discrepancy(from: kernel), rounded.outputDiscrepancy)
    return Noise(
      kernel: own * own - candidate.discrepancy * candidate.discrepancy,
      output: output * output - candidate.outputDiscrepancy * candidate.outputDiscrepancy, width: width)
  }

  private func form(_ candidate: Candidate?, _ width: BitWidth, _ noise: Noise) -> LayerChoices.Form {
    let (own, output, unit) = (candidate?.discrepancy ?? 0, candidate?.outputDiscrepancy ?? 0, width.gaussianNoise)
    return LayerChoices.Form(
      candidate: candidate, storage: storage(width), discrepancy: (own * own + unit * noise.kernel).squareRoot(),
      outputDiscrepancy: (output * output + unit * noise.output).squareRoot())
  }
}

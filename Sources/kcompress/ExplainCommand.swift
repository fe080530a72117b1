import ArgumentParser
import Foundation
import Pipeline

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Show what each structure reaches for one layer.",
    discussion: "For one size of the layer: the best shapes and ranks of every structure, best first.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @Argument(help: "A layer's name, as inspect lists it.")
  var layer: String

  @Option(help: ArgumentHelp("How many times fewer parameters than the dense kernel; 3 unless given.", valueName: "x"))
  var ratio: Double?

  @Option(help: ArgumentHelp("The most parameters instead: 12000, 12k.", valueName: "n"))
  var parameters: Count?

  @Option(help: ArgumentHelp("The structures to try, separated by commas: \(StructureList.known).", valueName: "list"))
  var structures: StructureList?

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @OptionGroup var calibration: CalibrationOptions
  @OptionGroup var companions: CompanionOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard ratio == nil || parameters == nil else {
      throw ValidationError("--ratio and --parameters exclude each other")
    }
    if let ratio, !(ratio > 1 && ratio.isFinite) { throw ValidationError("--ratio must be above 1, not \(ratio)") }
  }

  func run() throws {
    let size = parameters.map { ExplainRequest.Size.parameters($0.value) } ?? .ratio(ratio ?? 3)
    let request = ExplainRequest(
      checkpoint: checkpoint, layer: layer, size: size, structures: structures?.names ?? [], seed: seed,
      companions: companions.companions,
      calibration: calibration.source)
    let explanation = try common.terminal.withProgress {
      try Pipeline.explain(request, workers: common.workers, progress: $0)
    }
    explanation.notices.forEach(common.terminal.notice)
    common.terminal.result(explanation.json, explanation.text)
  }
}

/// `12000`, `12k`, `1.5M`: a positive number of things.
struct Count: ExpressibleByArgument {
  let value: Int

  init?(argument: String) {
    let factors: [Character: Double] = ["k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9]
    let factor = argument.last.flatMap { factors[$0] }
    guard let number = Double(factor == nil ? argument : String(argument.dropLast())) else { return nil }
    let count = number * (factor ?? 1)
    guard count >= 1, count < 1e15 else { return nil }
    value = Int(count)
  }
}

extension Explanation {
  /// The candidates as a table, the stages of the best, and its structure's curve as a picture.
  var text: String {
    var lines = [
      "\(layer.name): \(Format.shape(layer.kernelShape)), \(layer.convolution.parameterCount) parameters, at most \(limit) asked for",
      "",
    ]
    var table = TextTable([
      ("structure", .left), ("shapes of the factors", .left), ("ranks", .left), ("parameters", .right),
      ("MACs a position", .right), ("discrepancy", .right), ("of the output", .right),
    ])
    for candidate in candidates {
      table.add([
        candidate.structure, candidate.shapes.map { $0.map(String.init).joined(separator: "x") }.joined(separator: " "),
        candidate.ranks.map(String.init).joined(separator: ", "), "\(candidate.parameterCount)",
        "\(candidate.macsPerPosition)", Format.number(candidate.discrepancy),
        isCalibrated ? Format.number(candidate.outputDiscrepancy) : "",
      ])
    }
    lines.append(table.text)
    lines += absent.map { "\($0): nothing of this size that the layer can run" }
    if candidates.count > 1 {
      let (best, second) = (candidates[0].outputDiscrepancy, candidates[1].outputDiscrepancy)
      let behind = best > 0 ? ", \(Format.percent(second / best - 1)) behind \(candidates[0].structure)" : ""
      lines += ["", "runner-up: \(candidates[1].structure)\(behind)"]
    }
    if let best = candidates.first, let larger {
      lines.append(
        "another 10 kB: \(larger.parameterCount) parameters, \(isCalibrated ? "discrepancy of the output" : "discrepancy") "
          + "\(Format.number(larger.outputDiscrepancy)) after \(Format.number(best.outputDiscrepancy))")
    }
    if let best = candidates.first {
      lines += ["", "\(best.structure) runs as"]
      lines += best.stages.map { "  \($0.sentence)" }
      lines += ["", "\(best.structure) at other sizes"] + picture
    }
    return lines.joined(separator: "\n")
  }

  /// One bar for each size, as long as the discrepancy there.
  private var picture: [String] {
    let width = 48.0
    return curve.reversed().map { candidate in
      let ratio = Double(layer.convolution.parameterCount) / Double(max(1, candidate.parameterCount))
      let bar = String(repeating: "#", count: Int((candidate.outputDiscrepancy * width).rounded()))
      let size = String(format: "%6.1fx %8d", ratio, candidate.parameterCount)
      return "\(size)  \(Format.number(candidate.outputDiscrepancy)) \(bar)"
    }
  }
}

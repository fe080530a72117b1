import ArgumentParser
import Inference
import LinearAlgebra

/// What `Benchmarks/run.py` measures of the library itself, below the commands. Each subcommand prints one JSON document.
@main enum Main {
  static func main() {
    LoadTimeSettings.apply()
    Measure.main()
  }
}

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kcompress-measure", abstract: "Time parts of kcompress on their own.",
    subcommands: [
      FitCommand.self, SpectrumCommand.self, SweepCommand.self, LayersCommand.self, ProductCommand.self,
      PlanningCommand.self, KnapsackCommand.self, RosaCommand.self,
    ])
}

/// `512x512x3x3`
struct Extents: ExpressibleByArgument {
  let values: [Int]

  init?(argument: String) {
    values = argument.split(separator: "x").compactMap { Int($0) }
    guard !values.isEmpty, values.allSatisfy({ $0 > 0 }) else { return nil }
  }
}

/// Runs `body` and returns the seconds that it took.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let duration = try ContinuousClock().measure(body)
  return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

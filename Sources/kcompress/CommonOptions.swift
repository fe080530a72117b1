import ArgumentParser
import Basics
import Checkpoints
import Formats
import Foundation
import Plans
import Running

/// What every command takes.
struct CommonOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output and nothing else there.")
  var json = false

  @Flag(help: "Print neither progress nor warnings.")
  var quiet = false

  @Option(help: ArgumentHelp("The number of threads; all processors unless given.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, not \(threads)") }
  }

  var workers: Workers { Workers(count: threads ?? ProcessInfo.processInfo.activeProcessorCount) }

  var terminal: Terminal { Terminal(json: json, quiet: quiet) }

  /// Does a job and shows its progress.
  ///
  /// - Throws: what the job throws.
  func run<Work: Job>(_ job: Work) throws -> Work.Result { try terminal.run(job, workers: workers) }

  /// Prints notices, and a result in the form that was asked for.
  ///
  /// - Throws: `Failure` where standard output takes no more.
  func show(_ document: JSON, _ text: @autoclosure () -> String, notices: [String] = []) throws {
    notices.forEach(terminal.notice)
    try terminal.result(document, text())
  }
}

/// How samples become inputs.
struct SampleOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Multiply inputs by this first.", valueName: "x"))
  var inputScale: Double?

  @Option(
    help: ArgumentHelp("Subtract then: one value, or one for each channel (0.485,0.456,0.406).", valueName: "x,..."))
  var inputMean: NumberList?

  @Option(help: ArgumentHelp("Divide by last: one value, or one for each channel.", valueName: "x,..."))
  var inputStd: NumberList?

  @Option(help: ArgumentHelp("Use the first samples only.", valueName: "n"))
  var maxSamples: Int?

  func validate() throws {
    if let maxSamples, maxSamples < 1 { throw ValidationError("--max-samples must be at least 1, not \(maxSamples)") }
    if let inputStd, inputStd.values.contains(0) { throw ValidationError("--input-std must not hold 0") }
  }

  var preparation: SamplePreparation {
    SamplePreparation(
      scale: inputScale, mean: inputMean?.values ?? [], standardDeviation: inputStd?.values ?? [],
      maximumCount: maxSamples)
  }
}

/// Samples that compression is calibrated on.
struct CalibrationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Samples of what the network will see (.npz, .npy, .safetensors, .h5, no labels needed; for a character model a text): what compression does to the outputs then counts, not to the weights.",
      valueName: "file"), completion: .file())
  var calibration: String?

  @OptionGroup var samples: SampleOptions

  var source: CalibrationSource? {
    calibration.map { CalibrationSource(path: $0, preparation: samples.preparation) }
  }
}

/// Where sweeps are kept for the next plan of the same network.
struct CacheOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The folder that keeps what was measured, so that another budget is planned in seconds; it may be deleted at any time. $XDG_CACHE_HOME/kcompress or ~/.cache/kcompress unless given.",
      valueName: "folder"), completion: .directory)
  var cache: String?

  @Flag(help: "Measure anew and keep nothing.")
  var noCache = false

  func validate() throws {
    if noCache, cache != nil { throw ValidationError("--cache and --no-cache exclude each other") }
  }

  var folder: String? { noCache ? nil : cache ?? CacheFolder.standard }
}

/// A list of numbers as an option states it: `0.485,0.456,0.406`.
struct NumberList: ExpressibleByArgument {
  let values: [Double]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = parts.compactMap { Double($0.trimmingPrefix { $0 == " " }) }
    guard !values.isEmpty, values.count == parts.count, values.allSatisfy(\.isFinite) else { return nil }
  }
}

/// `12000`, `12k`, `1.5M`: a positive number of things.
struct Count: ExpressibleByArgument {
  let value: Int

  init?(argument: String) {
    guard let amount = Resource.macs.amount(parsing: argument) else { return nil }
    value = Int(amount)
  }
}

extension Glob: ExpressibleByArgument {
  package init?(argument: String) { self.init(argument) }
}

/// What makes a network of a checkpoint that does not hold all of it.
struct CompanionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An ONNX export of the network, for a PyTorch or safetensors file, which has no graph.", valueName: "file"),
    completion: .file(extensions: ["onnx"]))
  var graph: String?

  @Option(
    help: ArgumentHelp(
      "The architecture of Keras weights that come without one: what model.to_json() returns.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var architecture: String?

  @Option(
    help: ArgumentHelp(
      "The modules' classes, for tensors without a graph: what write_modules of the printed loader writes. model.modules.json beside the checkpoint unless given.",
      valueName: "file"), completion: .file(extensions: ["json"]))
  var modules: String?

  @Option(
    help: ArgumentHelp(
      "The part of a training checkpoint that is the network: 'model' or 'ema', say.", valueName: "name"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "Take layers for linear ones where nothing in a state dict proves it.", valueName: "glob"))
  var linear: [Glob] = []

  var companions: Companions {
    Companions(
      graph: graph, architecture: architecture,
      stateDict: StateDictOptions(prefix: prefix, linear: linear, modules: modules))
  }
}

extension ArgumentHelp {
  static let checkpoint: ArgumentHelp = "The checkpoint: \(CheckpointFormats.expected)."
}

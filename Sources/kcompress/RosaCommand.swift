import ArgumentParser
import ModelGraph
import Training
import Tuning

struct RosaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rosa",
    abstract: "Split kernels into a frozen part and a product of low rank to train elsewhere, merge them, draw others.",
    discussion: """
      split writes a checkpoint with the frozen parts, the factors as safetensors, and with --adapter a folder that Hugging Face PEFT \
      loads. merge adds the products again. draw merges and splits off other singular directions.
      """,
    subcommands: [SplitCommand.self, MergeCommand.self, DrawCommand.self])

  struct Outputs: ParsableArguments {
    @Option(
      name: .shortAndLong, help: ArgumentHelp("Where the frozen checkpoint goes.", valueName: "file"),
      completion: .file())
    var output: String?
    @Option(
      help: ArgumentHelp("Where the factors go; beside the frozen checkpoint unless given.", valueName: "file"),
      completion: .file())
    var factorsOutput: String?
    @Option(
      help: ArgumentHelp("A folder for the factors as PEFT loads them.", valueName: "folder"), completion: .directory)
    var adapter: String?
    @Flag(help: "Replace outputs that exist.") var overwrite = false
  }

  struct SplitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "split", abstract: "Split a checkpoint's kernels; what the parts make together stays the same.")

    @Argument(help: .checkpoint, completion: .file()) var checkpoint: String
    @OptionGroup var directions: Directions
    @OptionGroup var outputs: Outputs
    @OptionGroup var common: CommonOptions

    func run() throws {
      try directions.split(checkpoint, factors: nil, outputs, common)
    }
  }

  struct DrawCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "draw", abstract: "Merge the factors and split off other directions.")

    @Argument(help: "The checkpoint with the frozen parts.", completion: .file()) var checkpoint: String
    @Option(help: ArgumentHelp("Its factors.", valueName: "file"), completion: .file()) var factors: String
    @OptionGroup var directions: Directions
    @OptionGroup var outputs: Outputs
    @OptionGroup var common: CommonOptions

    func run() throws {
      try directions.split(checkpoint, factors: factors, outputs, common)
    }
  }

  struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "merge", abstract: "Add the products to the frozen parts.")

    @Argument(help: "The checkpoint with the frozen parts.", completion: .file()) var checkpoint: String
    @Option(help: ArgumentHelp("Its factors.", valueName: "file"), completion: .file()) var factors: String
    @Option(
      name: .shortAndLong, help: ArgumentHelp("Where the checkpoint goes.", valueName: "file"), completion: .file())
    var output: String?
    @Flag(help: "Replace an output that exists.") var overwrite = false
    @OptionGroup var common: CommonOptions

    func run() throws {
      let result = try common.run(
        RosaMergeRequest(frozen: checkpoint, factors: factors, output: output, overwrite: overwrite))
      try common.show(result.json, result.text, notices: result.notices)
    }
  }

  struct Directions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "The rank of the products: a count, or below 1 a part of the kernel's shorter side; GLOB=N for some layers. May be repeated.",
        valueName: "n"))
    var rank: [RankRule] = []
    @Option(help: ArgumentHelp("Which singular directions: subset, window, top or bottom.", valueName: "name"))
    var draw = Draw.subset
    @Option(help: "The seed of everything random.") var seed: UInt64 = 0

    func split(_ checkpoint: String, factors: String?, _ outputs: Outputs, _ common: CommonOptions) throws {
      // A draw keeps the ranks that there are.
      let ranks = rank.isEmpty && factors == nil ? [RankRule(amount: 8)] : rank
      let result = try common.run(
        RosaRequest(
          checkpoint: checkpoint, factors: factors, ranks: ranks, draw: draw, seed: seed, output: outputs.output,
          factorsOutput: outputs.factorsOutput, adapter: outputs.adapter, overwrite: outputs.overwrite))
      try common.show(result.json, result.text, notices: result.notices)
    }
  }
}

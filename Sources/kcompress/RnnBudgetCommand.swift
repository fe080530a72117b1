import ArgumentParser
import Basics
import CharacterModels
import Recurrent
import Reports

struct RnnBudgetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "budget", abstract: "Show what networks a number of parameters allows, and let them compete.",
    discussion: """
      Without --train it prints states and ranks of every kind. With it, rnn, mirnn, 2rnn and cprnn of each budget are trained side by \
      side on the text with several seeds, and a report with a plot is written.
      """)

  @Argument(help: ArgumentHelp("Parameters, the decoder included: 29500, 111k; several for a curve.", valueName: "n"))
  var budgets: [Count]

  @Option(
    help: ArgumentHelp("The count of symbols, without --train; the default is the published one.", valueName: "n"))
  var inputs = 101

  @Option(help: ArgumentHelp("The text to train on.", valueName: "file"), completion: .file())
  var train: String?

  @Option(
    help: ArgumentHelp("The test text, to compare on; the validation text unless given.", valueName: "file"),
    completion: .file())
  var test: String?

  @Option(help: ArgumentHelp("Trainings of each model.", valueName: "n"))
  var seeds = 3

  @Option(
    help: ArgumentHelp("Where the HTML report goes; .md and .json lie beside it.", valueName: "file"),
    completion: .file())
  var report = "budget.report.html"

  @Flag(help: "Replace files that exist.")
  var overwrite = false

  @OptionGroup var training: RecurrentTrainingOptions
  @OptionGroup var common: CommonOptions

  private static let largest = 1_000_000_000

  func validate() throws {
    try validateExtents([("--inputs", inputs)])
    if let budget = budgets.first(where: { $0.value > Self.largest }) {
      throw ValidationError("a budget is at most \(Self.largest) parameters, not \(budget.value)")
    }
    guard train != nil || test == nil && training.valid == nil else {
      throw ValidationError("--valid and --test need --train")
    }
    guard seeds >= 1 else { throw ValidationError("--seeds must be at least 1, not \(seeds)") }
  }

  func run() throws {
    guard let train else {
      let shapes = budgets.flatMap { budget in
        RecurrentShape.Kind.allCases.flatMap { kind in
          RecurrentBudget.choices(kind, inputs: inputs, parameters: budget.value).map { (budget.value, $0) }
        }
      }
      guard !shapes.isEmpty else {
        throw Failure(
          "the budget", "allows no network", "with \(inputs) symbols even one state takes more parameters",
          remedy: "give more parameters, or fewer --inputs")
      }
      return try common.show(Self.json(shapes), Self.table(shapes).text)
    }
    let request = RecurrentContestRequest(
      budgets: budgets.map(\.value), text: train, validation: training.valid, test: test, seeds: seeds,
      schedule: training.schedule, report: report, overwrite: overwrite)
    let contest = try common.run(request)
    let report = ContestReport(contest)
    try report.write(overwrite: overwrite)
    try common.show(
      contest.json, "\(report.table.text)\n\nreport: \(contest.reports.html)",
      notices: contest.notices + contest.divergences)
    if !contest.divergences.isEmpty { throw NegativeVerdict() }
  }

  private static func table(_ shapes: [(budget: Int, shape: RecurrentShape)]) -> TextTable {
    var table = TextTable([
      ("budget", .right), ("model", .left), ("states", .right), ("rank", .right), ("parameters", .right),
    ])
    for (budget, shape) in shapes {
      table.add([
        "\(budget)", shape.kind.rawValue, "\(shape.hidden)", shape.rank > 0 ? "\(shape.rank)" : "",
        "\(shape.parameterCount)",
      ])
    }
    return table
  }

  private static func json(_ shapes: [(budget: Int, shape: RecurrentShape)]) -> JSON {
    [
      "models": .array(
        shapes.map { budget, shape in
          [
            "budget": .integer(budget), "model": .string(shape.kind.rawValue), "hidden": .integer(shape.hidden),
            "inputs": .integer(shape.inputs), "rank": .integer(shape.rank),
            "parameters": .integer(shape.parameterCount),
          ]
        })
    ]
  }
}

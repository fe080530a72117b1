import Basics
import CharacterModels

/// The account of a contest: the table, and the paper's figure 7 where there are several budgets.
package struct ContestReport {
  private let contest: RecurrentContest

  package init(_ contest: RecurrentContest) { self.contest = contest }

  /// Writes all three files to where the result says.
  ///
  /// - Throws: `Failure` where one exists and may not be replaced, or cannot be written.
  package func write(overwrite: Bool) throws {
    try contest.reports.write(
      html: html, markdown: markdown,
      json: ["schema": "kcompress.contest/1", "result": contest.json], overwrite: overwrite)
  }

  private var markdown: String {
    let notes = contest.divergences.map { "- \($0)\n" }.joined()
    return "# \(title)\n\n\(sentence)\n\n\(table.markdown)\n" + (notes.isEmpty ? "" : "\n" + notes)
  }

  private var title: String { "Recurrent networks with equal budgets" }

  private var sentence: String {
    "Trained on \(contest.text) for at most \(contest.epochs) epochs, bits per character on \(contest.test); \(Int(contest.seconds.rounded())) seconds in all."
  }

  package var table: TextTable {
    var table = TextTable([
      ("budget", .right), ("model", .left), ("states", .right), ("rank", .right), ("parameters", .right),
      ("bits per character", .right), ("spread", .right), ("seeds", .right),
    ])
    for entry in contest.entries {
      table.add([
        "\(entry.budget)", entry.shape.kind.rawValue, "\(entry.shape.hidden)",
        entry.shape.rank > 0 ? "\(entry.shape.rank)" : "", "\(entry.shape.parameterCount)",
        entry.mean.map(Format.number) ?? "diverged", entry.spread.map(Format.number) ?? "",
        entry.bits.count == entry.runs.count ? "\(entry.runs.count)" : "\(entry.bits.count) of \(entry.runs.count)",
      ])
    }
    return table
  }

  private var html: String {
    let lines = RecurrentContestRequest.kinds.map { kind in
      contest.entries.filter { $0.shape.kind == kind }.compactMap { entry in
        entry.mean.map { (x: Double(entry.shape.parameterCount), y: $0) }
      }
    }
    let marks = contest.entries.compactMap { entry in
      entry.mean.map { (x: Double(entry.shape.parameterCount), y: $0, name: entry.shape.kind.rawValue) }
    }
    let plot = Plot(xTitle: "parameters", yTitle: "bits per character", yScale: .tight)
      .svg(lines: lines, marks: marks, label: "Bits per character against parameters, one line for each model")
    return HTMLPage.text(
      title,
      """
      <p>\(HTMLPage.escaped(sentence))</p>
      \((contest.notices + contest.divergences).map { "<p class=\"note\">\(HTMLPage.escaped($0))</p>" }.joined(separator: "\n"))
      \(plot)
      \(table.html)
      """)
  }
}

import Basics
import Recurrent

/// The account of a contest: the table, and the paper's figure 7 where there are several budgets.
extension RecurrentContest {
  func write(to paths: ReportPaths, overwrite: Bool) throws {
    try OutputFile.write(html.utf8, to: paths.html, overwrite: overwrite)
    try OutputFile.write(
      "# \(title)\n\n\(sentence)\n\n\(table.markdown)\n".utf8, to: paths.markdown, overwrite: overwrite)
    let document: JSON = ["schema": "kcompress.contest/1", "result": json]
    try OutputFile.write((document.text(.indented) + "\n").utf8, to: paths.json, overwrite: overwrite)
  }

  private var title: String { "Recurrent networks with equal budgets" }

  private var sentence: String {
    "Trained on \(text) for at most \(epochs) epochs, bits per character on \(test); \(Int(seconds.rounded())) seconds in all."
  }

  package var table: TextTable {
    var table = TextTable([
      ("budget", .right), ("model", .left), ("states", .right), ("rank", .right), ("parameters", .right),
      ("bits per character", .right), ("spread", .right), ("seeds", .right),
    ])
    for entry in entries {
      table.add([
        "\(entry.budget)", entry.shape.kind.rawValue, "\(entry.shape.hidden)",
        entry.shape.rank > 0 ? "\(entry.shape.rank)" : "", "\(entry.shape.parameterCount)", Format.number(entry.mean),
        Format.number(entry.spread), "\(entry.bits.count)",
      ])
    }
    return table
  }

  private var html: String {
    let lines = RecurrentContestRequest.kinds.map { kind in
      entries.filter { $0.shape.kind == kind }.map { (x: Double($0.shape.parameterCount), y: $0.mean) }
    }
    let marks = entries.map { (Double($0.shape.parameterCount), $0.mean, $0.shape.kind.rawValue) }
    let plot = Plot(xTitle: "parameters", yTitle: "bits per character", yScale: .tight)
      .svg(lines: lines, marks: marks, label: "Bits per character against parameters, one line for each model")
    return Report.page(
      title,
      """
      <p>\(Report.escaped(sentence))</p>
      \(notices.map { "<p class=\"note\">\(Report.escaped($0))</p>" }.joined(separator: "\n"))
      \(plot)
      \(table.html)
      """)
  }
}

/// The three forms of a report.
struct ReportPaths: Sendable {
  let html: String

  private var stem: String {
    html.hasSuffix(".html") ? String(html.dropLast(".html".count)) : html
  }

  var markdown: String { stem + ".md" }
  var json: String { stem + ".json" }
  var all: [String] { [html, markdown, json] }
}

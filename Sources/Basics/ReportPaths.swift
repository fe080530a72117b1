/// Where the three forms of a report go: `model.report.html`, `.md` and `.json`.
package struct ReportPaths: Sendable {
  /// The path of the HTML form; the others lie beside it.
  package let html: String

  package init(html: String) { self.html = html }

  private var stem: String {
    html.hasSuffix(".html") ? String(html.dropLast(".html".count)) : html
  }

  package var markdown: String { stem + ".md" }
  package var json: String { stem + ".json" }
  package var all: [String] { [html, markdown, json] }
}

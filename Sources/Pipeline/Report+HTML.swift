import Foundation

extension Report {
  /// One page without any outside resource: it opens from a disk and prints.
  var html: String {
    Self.page(
      title,
      """
      <dl>
      \(totals.map { "<dt>\(Self.escaped($0.0))</dt><dd>\(Self.escaped($0.1))</dd>" }.joined(separator: "\n"))
      </dl>
      \(result.notices.map { "<p class=\"note\">\(Self.escaped($0))</p>" }.joined(separator: "\n"))
      <h2>Where the bytes went</h2>
      \(bytesPicture)
      \(lossPictures)
      <h2>Layers</h2>
      \(layerTable.html)
      """)
  }

  /// - Parameter content: HTML below the title.
  static func page(_ title: String, _ content: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(escaped(title))</title>
    <style>\(style)</style>
    </head>
    <body>
    <h1>\(escaped(title))</h1>
    \(content)
    </body>
    </html>

    """
  }

  private static let style = """
    body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
    dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
    dt { color: #5b6b7c; } dd { margin: 0; overflow-wrap: anywhere; }
    table { border-collapse: collapse; font-size: .87rem; display: block; overflow-x: auto; }
    th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #e2e8ee; white-space: nowrap; }
    .number { text-align: right; font-variant-numeric: tabular-nums; }
    .note { color: #5b6b7c; }
    svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
    """

  static func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }
}

extension TextTable {
  var html: String {
    func row(_ cells: [String], _ tag: String) -> String {
      let contents = cells.indices.map { column in
        let isNumber = headings[column].alignment == .right
        return "<\(tag)\(isNumber ? " class=\"number\"" : "")>\(Report.escaped(cells[column]))</\(tag)>"
      }
      return "<tr>\(contents.joined())</tr>"
    }
    return """
      <table>
      <thead>\(row(headings.map(\.title), "th"))</thead>
      <tbody>
      \(rows.map { row($0, "td") }.joined(separator: "\n"))
      </tbody>
      </table>
      """
  }
}

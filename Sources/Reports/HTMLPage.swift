import Foundation

/// Pages without any outside resource: they open from a disk and print.
enum HTMLPage {
  /// A whole page.
  ///
  /// - Parameter content: HTML below the title.
  static func text(_ title: String, _ content: String) -> String {
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

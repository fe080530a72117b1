import Foundation

extension TextTable {
  var html: String {
    func row(_ cells: [String], _ tag: String) -> String {
      let contents = cells.indices.map { column in
        let isNumber = headings[column].alignment == .right
        return "<\(tag)\(isNumber ? " class=\"number\"" : "")>\(HTMLPage.escaped(cells[column]))</\(tag)>"
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

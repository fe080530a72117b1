import Testing

@testable import Reports

@Suite struct TextTableTests {
  private var table: TextTable {
    var table = TextTable([("layer", .left), ("bytes", .right), ("note", .left)])
    table.add(["conv1", "12", ""])
    table.add(["a|b", "12345", "kept <as is>"])
    return table
  }

  /// Columns are as wide as their widest cell; numbers end below each other; no line ends in spaces.
  @Test func columnsStandBelowEachOther() {
    let expected = """
      layer  bytes  note
      conv1     12
      a|b    12345  kept <as is>
      """
    #expect(table.text == expected)
  }

  @Test func markdownKeepsItsColumns() {
    let lines = table.markdown.split(separator: "\n")
    #expect(lines.count == 4 && lines[0] == "| layer | bytes | note |" && lines[1] == "| --- | ---: | --- |")
    // A bar in a cell is no border.
    #expect(lines[3] == #"| a\|b | 12345 | kept <as is> |"#)
  }

  @Test func markupInACellIsText() {
    let html = table.html
    #expect(html.contains("kept &lt;as is&gt;") && !html.contains("<as is>"))
    #expect(html.components(separatedBy: "<tr").count == 4)
  }
}

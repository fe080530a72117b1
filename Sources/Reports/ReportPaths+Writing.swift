import Basics

extension ReportPaths {
  /// Writes the three forms of a report.
  ///
  /// - Throws: `Failure` where one exists and may not be replaced, or cannot be written.
  func write(html text: String, markdown: String, json document: JSON, overwrite: Bool) throws {
    try OutputFile.write(text.utf8, to: html, overwrite: overwrite)
    try OutputFile.write(markdown.utf8, to: self.markdown, overwrite: overwrite)
    try OutputFile.write((document.text(.indented) + "\n").utf8, to: json, overwrite: overwrite)
  }
}

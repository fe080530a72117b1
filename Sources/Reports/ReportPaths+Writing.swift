import Basics

extension ReportPaths {
  /// Writes the three forms of a report, all or none.
  ///
  /// - Throws: `Failure` where one exists and may not be replaced, or cannot be written.
  func write(html text: String, markdown: String, json document: JSON, overwrite: Bool) throws {
    let files = [
      (self.markdown, markdown), (json, document.text(.indented) + "\n"), (html, text),
    ]
    try OutputFile.writeSet(
      files.map { (target: .init($0, option: "--report"), bytes: Array($1.utf8)) }, overwrite: overwrite)
  }
}

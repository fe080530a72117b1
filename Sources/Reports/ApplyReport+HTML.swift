import Foundation

extension ApplyReport {
  /// One page without any outside resource: it opens from a disk and prints.
  var html: String {
    HTMLPage.text(
      title,
      """
      <dl>
      \(totals.map { "<dt>\(HTMLPage.escaped($0.0))</dt><dd>\(HTMLPage.escaped($0.1))</dd>" }.joined(separator: "\n"))
      </dl>
      \(result.notices.map { "<p class=\"note\">\(HTMLPage.escaped($0))</p>" }.joined(separator: "\n"))
      <h2>Where the bytes went</h2>
      \(bytesPicture)
      \(lossPictures)
      <h2>Layers</h2>
      \(layerTable.html)
      """)
  }
}

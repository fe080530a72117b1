import Foundation

extension String {
  /// The same for every path to a file, whether the file is there or not: absolute, links followed.
  package var fileIdentity: String {
    let url = URL(fileURLWithPath: self)
    return url.deletingLastPathComponent().resolvingSymlinksInPath().appendingPathComponent(url.lastPathComponent)
      .resolvingSymlinksInPath().path
  }
}

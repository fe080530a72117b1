/// A shell pattern over layer names: `*` stands for any run of characters, `?` for one.
package struct Glob: Sendable, Equatable {
  package let pattern: String

  package init(_ pattern: String) { self.pattern = pattern }

  /// Whether the whole name matches.
  ///
  /// - Complexity: O(name * pattern); a star backtracks to its last position only.
  package func matches(_ name: String) -> Bool {
    let text = Array(name)
    let glob = Array(pattern)
    var (t, g) = (0, 0)
    var star: (glob: Int, text: Int)?
    while t < text.count {
      if g < glob.count, glob[g] == "*" {
        star = (g, t)
        g += 1
      } else if g < glob.count, glob[g] == "?" || glob[g] == text[t] {
        t += 1
        g += 1
      } else if let last = star {
        star = (last.glob, last.text + 1)
        t = last.text + 1
        g = last.glob + 1
      } else {
        return false
      }
    }
    return glob[g...].allSatisfy { $0 == "*" }
  }
}

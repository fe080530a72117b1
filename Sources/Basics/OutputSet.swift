/// The files that a command writes and those that it reads: no one of them may take another's place.
package struct OutputSet: Sendable {
  /// A file that is written, with the option that would choose another path.
  package struct Target: Sendable {
    let path: String
    let option: String

    package init(_ path: String, option: String) {
      self.path = path
      self.option = option
    }
  }

  private let targets: [Target]

  package init(_ targets: [Target]) { self.targets = targets }

  /// Refuses early what could only fail later or would destroy something.
  ///
  /// - Parameter inputs: the paths that are read, with what each of them is.
  /// - Throws: `Failure` where a target exists and may not be replaced, cannot be written, is an input or another target.
  package func check(inputs: [(path: String, role: String)], overwrite: Bool) throws {
    var taken = Dictionary(inputs.map { ($0.path.fileIdentity, $0.role) }) { first, _ in first }
    for target in targets {
      if let role = taken.updateValue("another file that is written", forKey: target.path.fileIdentity) {
        throw Failure(
          target.path, "is not overwritten", "it is \(role)", remedy: "choose another path with \(target.option)")
      }
      try OutputFile.check(target.path, overwrite: overwrite, option: target.option)
    }
  }
}

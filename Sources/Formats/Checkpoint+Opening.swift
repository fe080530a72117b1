import Basics
import Checkpoints

extension Checkpoint {
  /// Reads a checkpoint. The format follows from the content, and where that says nothing from the name.
  ///
  /// Keras weights without an architecture take the one that lies beside them under their own name, as apply puts it there.
  ///
  /// - Parameter architecture: the file with the architecture of Keras weights that come without one, `model.to_json()`.
  /// - Throws: `Failure` for a file that is damaged, or of a kind that cannot be read here.
  package static func open(_ path: String, architecture: String? = nil) throws -> Checkpoint {
    let file = try CheckpointFile(path: path)
    let format = try format(of: file)
    guard architecture == nil || format.takesArchitecture(file) else {
      throw CheckpointFile.hasArchitecture.within(path)
    }
    return try format.open(consume file, architecture: architecture)
  }

  private static func format(of file: CheckpointFile) throws -> any CheckpointFormat.Type {
    if let format = CheckpointFormats.format(of: file) { return format }
    if let kind = UnsupportedFile(file) {
      throw Failure(file.path, "cannot be read", "it is \(kind.noun)", remedy: kind.remedy)
    }
    guard let format = CheckpointFormats.all.first(where: { $0.claims(file.path) }) else {
      throw Failure(
        file.path, "cannot be read", "its content is that of no known checkpoint",
        remedy: "expected \(CheckpointFormats.expected)")
    }
    return format
  }
}

import Basics
import Checkpoints

extension Checkpoint {
  /// Reads a checkpoint. The format follows from the content, and where that says nothing from the name.
  ///
  /// Keras weights without an architecture take the one that lies beside them under their own name, as apply puts it there.
  ///
  /// - Parameters:
  ///   - path: of the file, or of a folder that holds one checkpoint.
  ///   - architecture: the file with the architecture of Keras weights that come without one, `model.to_json()`.
  ///   - stateDict: what is to be known of tensors that come without a network.
  /// - Throws: `Failure` for a file that is damaged, or of a kind that cannot be read here.
  package static func open(
    _ path: String, architecture: String? = nil, stateDict: StateDictOptions = StateDictOptions()
  ) throws -> Checkpoint {
    let file = try CheckpointFile(path: try CheckpointFolder.checkpoint(at: path))
    let format = try format(of: file)
    guard architecture == nil || format.takesArchitecture(file) else {
      throw CheckpointFile.hasArchitecture.within(path)
    }
    guard format.isStateDict || stateDict == StateDictOptions() else {
      throw Failure(
        path, "takes no --prefix, --linear or --modules", "it is \(format.noun), which says itself what its layers are",
        remedy: "leave the option out")
    }
    return try format.open(consume file, architecture: architecture, stateDict: stateDict)
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

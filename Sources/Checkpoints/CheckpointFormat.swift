import Basics

/// A format of checkpoints: how its files are recognised and opened.
///
/// A new format is one type that conforms, with its `CheckpointContent`, in a target of its own, and one line in the list of all
/// formats.
package protocol CheckpointFormat: Sendable {
  /// What a file of the format is called in messages: "an ONNX model".
  static var noun: String { get }
  /// The files that may be given, as messages list them: "an .onnx file".
  static var expected: [String] { get }
  /// The extensions of several parts that file names keep together: ".weights.h5".
  static var longSuffixes: [String] { get }
  /// The extensions of files that are read and not written, with that of the file that is written in their place.
  static var writtenSuffixes: [String: String] { get }

  /// Whether the file is of this format, as its content says (and its name, where the content alone says nothing).
  static func recognizes(_ file: CheckpointFile) -> Bool

  /// Whether a file whose content says nothing is read as this format because of its name, so that the reader says what is
  /// wrong with it.
  static func claims(_ path: String) -> Bool

  /// Whether a file of the format may take its architecture from another file.
  static func takesArchitecture(_ file: CheckpointFile) -> Bool

  /// Whether files of the format are tensors without a network, of which `StateDictOptions` say more.
  static var isStateDict: Bool { get }

  /// Reads a file that the format recognises or claims.
  ///
  /// - Parameters:
  ///   - file: Nobody else holds its bytes: what has been read of them can go.
  ///   - architecture: The path of the architecture of a file that comes without one; nil leaves it to the format to look beside the file.
  ///   - stateDict: What the user says of tensors without a network.
  /// - Throws: `Failure` for a file that is damaged, or that cannot be read here.
  static func open(_ file: consuming CheckpointFile, architecture: String?, stateDict: StateDictOptions) throws
    -> Checkpoint
}

extension CheckpointFormat {
  /// Takes a path of the format apart.
  package static func path(_ path: String) -> CheckpointPath {
    CheckpointPath(path, longSuffixes: longSuffixes, writtenSuffixes: writtenSuffixes)
  }
}

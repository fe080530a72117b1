import Checkpoints
import Keras
import ONNX
import PyTorch
import Safetensors

/// All formats of checkpoints. A new format is one line here.
package enum CheckpointFormats {
  /// The formats in the order in which they are asked about a file.
  package static let all: [any CheckpointFormat.Type] = [
    PyTorchFormat.self,
    SafetensorsFormat.self,
    KerasFormat.self,
    ONNXFormat.self,
  ]

  /// The format that recognises a file; nil where none does.
  static func format(of file: CheckpointFile) -> (any CheckpointFormat.Type)? {
    all.first { $0.recognizes(file) }
  }

  /// The files that may be given, as messages list them.
  package static var expected: String {
    let kinds = all.flatMap { $0.expected }
    return kinds.count < 2
      ? kinds.joined() : kinds.dropLast().joined(separator: ", ") + " or " + kinds[kinds.count - 1]
  }
}

extension CheckpointPath {
  /// Takes a checkpoint's path apart; that of a folder is the one of the checkpoint in it.
  package init(_ path: String) {
    self.init(
      (try? CheckpointFolder.checkpoint(at: path)) ?? path,
      longSuffixes: CheckpointFormats.all.flatMap { $0.longSuffixes },
      writtenSuffixes: CheckpointFormats.all.reduce(into: [:]) { suffixes, format in
        suffixes.merge(format.writtenSuffixes) { first, _ in first }
      })
  }
}

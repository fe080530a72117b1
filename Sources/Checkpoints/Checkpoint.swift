import Basics
import ModelGraph
import TensorCore

/// A checkpoint as read: its tensors, the layers that a structure could replace and, where the file has one, its graph.
package struct Checkpoint: Sendable {
  /// The path of the file; of a sharded set, of its index.
  package private(set) var path: String
  /// The hash of the file's bytes in lower-case hexadecimal. Of a file that names others the hash runs over it and then over
  /// the others, in the order in which it names them.
  package let sha256: String
  /// The size of the file in bytes, or of it and all files that it names.
  package let byteCount: Int
  /// The tensors in the order of the file; names are unique. Optimiser state is not among them.
  package let tensors: [StoredTensor]
  /// The layers with a kernel that a structure could replace, in the order of the file.
  package let layers: [Layer]
  /// The network; nil where the file has none and none was joined to it.
  package let graph: ModelGraph?
  /// Why there is no graph; nil where there is one.
  package let graphAbsence: String?
  /// What the user should know about the file, one sentence each: dropped optimiser state, say.
  package let notices: [String]
  /// What the format itself keeps of the file.
  package let content: any CheckpointContent
  /// Tensors and their names, those of a joined graph included.
  private let named: [String: StoredTensor]

  /// Makes the checkpoint that a format has read.
  ///
  /// - Parameters:
  ///   - sha256: See the property.
  ///   - byteCount: See the property.
  package init(path: String, sha256: String, byteCount: Int, notices: [String], content: any CheckpointContent) {
    self.path = path
    self.sha256 = sha256
    self.byteCount = byteCount
    self.notices = notices
    self.content = content
    tensors = content.tensors
    layers = content.layers
    graph = content.graph
    graphAbsence = content.graphAbsence
    named = Self.byName(content.tensors)
  }

  /// Joins a graph from another file to a checkpoint that has none.
  ///
  /// - Parameters:
  ///   - layers: The checkpoint's layers with what the graph says about them.
  ///   - graphTensors: Tensors that only the graph refers to. Their names are none of the checkpoint's.
  ///   - notices: What the user should know about the graph.
  /// - Precondition: `checkpoint.content.takesGraph`.
  package init(
    _ checkpoint: Checkpoint, joining graph: ModelGraph, layers: [Layer], graphTensors: [StoredTensor],
    notices: [String]
  ) {
    precondition(checkpoint.content.takesGraph, "'\(checkpoint.path)' has a graph of its own")
    path = checkpoint.path
    sha256 = checkpoint.sha256
    byteCount = checkpoint.byteCount
    tensors = checkpoint.tensors
    self.layers = layers
    self.graph = graph
    graphAbsence = nil
    self.notices = checkpoint.notices + notices
    content = checkpoint.content.with(layers: layers)
    named = Self.byName(checkpoint.tensors + graphTensors)
  }

  private static func byName(_ tensors: [StoredTensor]) -> [String: StoredTensor] {
    Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  /// The same checkpoint under another path, where its own is nothing that a user knows.
  package func located(at path: String) -> Checkpoint {
    var result = self
    result.path = path
    return result
  }

  /// The tensor of a name, one of a joined graph included; nil where there is none.
  package func tensor(named name: String) -> StoredTensor? { named[name] }
}

extension Checkpoint {
  /// The format's name as users see it, "onnx" say.
  package var format: String { content.formatName }

  /// The version that the file states of its framework, "2.4.0" say.
  package var formatVersion: String? { content.formatVersion }

  /// What apply recorded in the file; nil in an uncompressed checkpoint.
  package var record: JSON? { content.record }

  /// The texts beside the tensors; nil where the format has no place for such texts.
  package var metadata: [String: String]? { content.metadata }

  /// Whether the file is a compressed one whose architecture lies in another file, which was not found.
  package var missesArchitecture: Bool { content.missesArchitecture }
}

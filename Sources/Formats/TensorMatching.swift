import Basics
import Checkpoints
import TensorCore

/// Tells which tensor of a checkpoint each tensor of its export is.
struct TensorMatching {
  /// Gives for the export's names the checkpoint's.
  private(set) var own: [String: String] = [:]
  /// The export's tensors that the checkpoint does not have, under names that none of it has.
  private(set) var foreign: [StoredTensor] = []
  /// The checkpoint's tensors that have the name and the shape of one of the export's and other values.
  private(set) var changed: [String] = []

  /// What the names of the export's own tensors begin with.
  static let foreignPrefix = "graph: "
  private let content: any CheckpointContent

  /// Matches the tensors of an export with those of a checkpoint, by name, then by shape and values.
  init(_ exported: [StoredTensor], _ checkpoint: Checkpoint) {
    content = checkpoint.content
    let names = Dictionary(checkpoint.tensors.map { ($0.name, $0) }) { first, _ in first }
    let candidates = Dictionary(grouping: checkpoint.tensors, by: \.shape)
    for tensor in exported {
      if let same = names[tensor.name], same.shape == tensor.shape {
        own[tensor.name] = tensor.name
        if tensor.dtype.isCompressible, !Self.haveEqualValues(same, tensor) { changed.append(tensor.name) }
        continue
      }
      guard tensor.dtype.isCompressible, tensor.shape.reduce(1, *) > 1,
        let match = candidates[tensor.shape]?.first(where: { Self.haveEqualValues($0, tensor) })
      else {
        foreign.append(tensor.renamed(Self.foreignPrefix + tensor.name))
        continue
      }
      own[tensor.name] = match.name
    }
  }

  private static func haveEqualValues(_ a: StoredTensor, _ b: StoredTensor) -> Bool {
    if a.dtype == b.dtype { return a.bytes == b.bytes }
    // One of them may have been rounded to the other's type.
    guard a.dtype.isCompressible, let values = try? b.decoded(as: Double.self) else { return false }
    return StoredTensor(name: "", values, as: a.dtype).bytes == a.bytes
  }

  /// The layer of the checkpoint that a kernel of the export belongs to; nil where the name says nothing.
  func layerName(ofKernel name: String) -> String? { content.layerName(ofKernel: own[name] ?? name) }

  /// Refuses the graph of another network. A network may have grown a head that its export lacks, or been trained since; a graph of
  /// which both seem true is another's.
  ///
  /// - Parameter computed: For the tensors that the graph's file computes from others, those.
  func check(
    _ checkpoint: Checkpoint, factored: Set<String>, computed: [String: [StoredTensor]], _ graphPath: String
  ) throws {
    for (name, sources) in computed.sorted(by: { $0.key < $1.key }) where own[name] == nil {
      for source in sources {
        guard let same = checkpoint.tensor(named: source.name), !Self.haveEqualValues(same, source) else { continue }
        throw Failure(
          graphPath, "does not belong to '\(checkpoint.path)'",
          "its '\(name)' is computed from '\(source.name)', of which the checkpoint has other values",
          remedy: "export the same weights")
      }
    }
    let used = Set(own.values)
    let parts = checkpoint.layers.filter { layer in
      !used.contains(layer.kernel.name) && !factored.contains { layer.name.hasPrefix($0 + ".") }
    }
    guard let missing = parts.first, let changed = changed.first else { return }
    throw Failure(
      graphPath, "does not belong to '\(checkpoint.path)'",
      "it has other values for '\(changed)' and no use for '\(missing.kernel.name)'",
      remedy: "export the network that the checkpoint is of")
  }

  /// What the user should know about the matching.
  func notices(_ graphPath: String) -> [String] {
    let renamed = own.filter { $0.key != $0.value }.count
    var notices: [String] = []
    if renamed > 0 {
      notices.append("\(renamed) tensors of '\(graphPath)' were told by their values, not by their names")
    }
    if !changed.isEmpty {
      notices.append(
        "\(changed.count) tensors have other values than in '\(graphPath)', '\(changed[0])' say; the checkpoint's count"
      )
    }
    return notices
  }
}

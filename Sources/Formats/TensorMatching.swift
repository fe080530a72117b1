import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// Tells which tensor of a checkpoint each tensor of its export is.
struct TensorMatching {
  /// Gives for the export's names the checkpoint's.
  private(set) var own: [String: String] = [:]
  /// Of these, the matrices that the export holds with their axes the other way round.
  private var turned: Set<String> = []
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
      let isMatched = tensor.dtype.isCompressible && tensor.shape.reduce(1, *) > 1
      if isMatched, let match = candidates[tensor.shape]?.first(where: { Self.haveEqualValues($0, tensor) }) {
        own[tensor.name] = match.name
      } else if isMatched, tensor.shape.count == 2,
        let match = candidates[tensor.shape.reversed()]?.first(where: { Self.haveEqualValues($0, Self.turned(tensor)) })
      {
        own[tensor.name] = match.name
        turned.insert(tensor.name)
      } else {
        foreign.append(tensor.renamed(Self.foreignPrefix + tensor.name))
      }
    }
  }

  /// Whether the checkpoint has the numbers of a tensor of the export.
  func isSame(_ name: String) -> Bool { own[name].map { !changed.contains($0) } ?? false }

  /// How the checkpoint's tensor is read where the export's is read so; nil where it has none.
  func reference(_ reference: TensorReference) -> TensorReference? {
    guard let name = own[reference.name] else { return nil }
    guard turned.contains(reference.name) else { return reference.renamed(name) }
    let order = (reference.permutation ?? [0, 1]).map { 1 - $0 }
    return TensorReference(name, permutation: order == [0, 1] ? nil : order, shape: reference.shape)
  }

  /// The export's tensors that only the graph has and that its nodes still read.
  func foreign(without made: Set<String>) -> [StoredTensor] {
    foreign.filter { !made.contains(String($0.name.dropFirst(Self.foreignPrefix.count))) }
  }

  private static func turned(_ matrix: StoredTensor) -> StoredTensor {
    let (rows, columns, width) = (matrix.shape[0], matrix.shape[1], matrix.dtype.bits / 8)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(matrix.bytes.count)
    for column in 0..<columns {
      for row in 0..<rows {
        let begin = (row * columns + column) * width
        bytes += matrix.bytes[begin..<begin + width]
      }
    }
    return StoredTensor(name: matrix.name, dtype: matrix.dtype, shape: [columns, rows], bytes: bytes)
  }

  private static func haveEqualValues(_ a: StoredTensor, _ b: StoredTensor) -> Bool {
    if a.dtype == b.dtype { return a.bytes == b.bytes || areClose(a, b) }
    // One of them may have been rounded to the other's type.
    return isRounded(b, as: a) || isRounded(a, as: b)
  }

  /// What computing a weight anew may change it by: exporters do so where it follows from others.
  private static let closeness = 2e-6

  private static func areClose(_ a: StoredTensor, _ b: StoredTensor) -> Bool {
    guard a.shape == b.shape, a.shape.count > 1, let own = try? a.decoded(as: Double.self),
      let other = try? b.decoded(as: Double.self)
    else { return false }
    // Most tensors of a shape differ in their first numbers already.
    let size = zip(own.elements, other.elements).prefix(64).reduce(0.0) { max($0, abs($1.0), abs($1.1)) }
    guard zip(own.elements, other.elements).prefix(64).allSatisfy({ abs($0 - $1) <= 1e-4 * size }) else { return false }
    return own.isFinite && own.subtracting(other).norm <= closeness * own.norm
  }

  private static func isRounded(_ a: StoredTensor, as b: StoredTensor) -> Bool {
    guard b.dtype.isCompressible, let values = try? a.decoded(as: Double.self) else { return false }
    return StoredTensor(name: "", values, as: b.dtype).bytes == b.bytes
  }

  /// The layer of the checkpoint that a kernel of the export belongs to; nil where the name says nothing.
  func layerName(ofKernel name: String) -> String? { content.layerName(ofKernel: own[name] ?? name) }

  /// Refuses the graph of another network, or of another version of it. A network may have grown a head that its export lacks. A compressed one may
  /// have been trained since, and then its names alone tell, unless tensors are left over.
  ///
  /// - Parameters:
  ///   - computed: For the tensors that the graph's file computes from others, those.
  ///   - foldings: What has been understood as a folded normalisation.
  func check(
    _ checkpoint: Checkpoint, factored: Set<String>, computed: [String: [StoredTensor]],
    _ foldings: FoldedNormalizations, _ graphPath: String
  ) throws {
    func another(_ reason: String) -> Failure {
      Failure(
        graphPath, "does not belong to '\(checkpoint.path)'", reason,
        remedy: "export the network that the checkpoint is of")
    }
    for (name, sources) in computed.sorted(by: { $0.key < $1.key })
    where own[name] == nil && !foldings.made.contains(name) {
      for source in sources {
        guard let same = checkpoint.tensor(named: source.name), same.shape == source.shape,
          !Self.haveEqualValues(same, source)
        else { continue }
        throw another("its '\(name)' is computed from '\(source.name)', of which the checkpoint has other values")
      }
    }
    let changed = self.changed.filter { !foldings.made.contains($0) }
    guard let first = changed.first else { return }
    guard checkpoint.record != nil else { throw another("it has other values for '\(first)'") }
    let used = Set(own.values).union(foldings.byKernel.values.map(\.kernel.name))
    let parts = checkpoint.layers.filter { layer in
      !used.contains(layer.kernel.name) && !factored.contains { layer.name.hasPrefix($0 + ".") }
    }
    if let missing = parts.first {
      throw another("it has other values for '\(first)' and no use for '\(missing.kernel.name)'")
    }
    let names = Set(foldings.byKernel.values.map(\.normalization.prefix))
    for tensor in checkpoint.tensors where tensor.name.hasSuffix("running_mean") && !used.contains(tensor.name) {
      guard !names.contains(String(tensor.name.dropLast("running_mean".count))) else { continue }
      throw another("it has other values for '\(first)' and no batch normalisation '\(tensor.name)'")
    }
  }

  /// What the user should know about the matching.
  func notices(_ graphPath: String, _ foldings: FoldedNormalizations) -> [String] {
    let renamed = own.filter { $0.key != $0.value }.count
    let changed = self.changed.filter { !foldings.made.contains($0) }
    var notices: [String] = []
    if !foldings.byKernel.isEmpty {
      notices.append(
        "'\(graphPath)' has \(foldings.byKernel.count) batch normalisations folded into kernels; they are taken out again"
      )
    }
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

import Basics
import Checkpoints
import Foundation
import ModelGraph
import ONNXProto
import SwiftProtobuf
import TensorCore

/// A model with changes, and its exact size in the file.
///
/// A plan asks for the size of very many variants, so the data of no weight is touched for it: a message's length is the sum of
/// its fields', and only changed nodes and tensors are encoded.
struct ONNXEdit {
  let original: ONNXModel
  var removal: ONNXRemoval
  var added: [Addition] = []
  private var vectors: [IntegerVector: String] = [:]
  private var replaced: [Int: [Onnx_NodeProto]] = [:]
  /// The names that were made here.
  private var madeNames: Set<String> = []
  private var madeNodeNames: Set<String> = []
  var record: JSON?

  struct Addition {
    var header: Onnx_TensorProto
    /// The type in memory.
    let dtype: DType
    let byteCount: Int
    /// As they are in memory.
    let bytes: [UInt8]?
    /// What makes the value that the graph reads where the tensor is stored in another type.
    let reading: [Onnx_NodeProto]

    /// The initialiser as a tensor.
    var tensor: StoredTensor {
      guard let bytes else { preconditionFailure("'\(header.name)' has a size and no content") }
      return StoredTensor(name: header.name, dtype: dtype, shape: header.dims.map { Int($0) }, bytes: bytes)
    }

    /// The initialiser as one of the graph's inputs.
    var input: Onnx_ValueInfoProto {
      var info = Onnx_ValueInfoProto()
      info.name = header.name
      info.type.tensorType.elemType = header.dataType
      info.type.tensorType.shape.dim = header.dims.map { extent in
        var dimension = Onnx_TensorShapeProto.Dimension()
        dimension.dimValue = extent
        return dimension
      }
      return info
    }
  }

  init(_ model: ONNXModel) {
    original = model
    removal = ONNXRemoval(model)
  }

  /// A name that nothing in the model has: this one, or it with something behind it.
  mutating func uniqueName(_ name: String) -> String {
    var result = name
    while original.wiring.names.contains(result) || madeNames.contains(result) { result += "_" }
    madeNames.insert(result)
    return result
  }

  /// The same for the name of a node.
  mutating func uniqueNodeName(_ name: String) -> String {
    var result = name
    while original.wiring.nodeNames.contains(result) || madeNodeNames.contains(result) { result += "_" }
    madeNodeNames.insert(result)
    return result
  }

  /// Puts a tensor in the place of whatever gives a value now, and removes what nobody needs then.
  ///
  /// - Parameter computed: The type in which the graph computes with the value.
  mutating func substitute(_ tensor: StoredTensor, computed: DType) {
    removal.removeMaker(of: tensor.name)
    add(tensor.name, shape: tensor.shape, dtype: tensor.dtype, tensor.bytes, computed: computed)
  }

  /// - Parameters:
  ///   - bytes: nil where only the size matters.
  ///   - computed: The type in which the graph computes with the tensor, whatever the file stores; nil for the same.
  mutating func add(_ name: String, shape: [Int], dtype: DType, _ bytes: [UInt8]?, computed: DType? = nil) {
    let computed = computed ?? dtype
    var header = Onnx_TensorProto()
    header.name = name
    header.dims = shape.map(Int64.init)
    header.dataType = Onnx_TensorProto.dataType(dtype)
    var reading: [Onnx_NodeProto] = []
    if computed != dtype {
      header.name = uniqueName("\(name)/\(dtype.rawValue.lowercased())")
      reading = [.cast(header.name, to: computed, as: name)]
    }
    guard let byteCount = dtype.byteCount(of: shape) else {
      preconditionFailure("'\(name)' of \(shape) is larger than any memory")
    }
    added.append(Addition(header: header, dtype: dtype, byteCount: byteCount, bytes: bytes, reading: reading))
  }

  /// The name of an initialiser with these integers, one for all who want the same.
  mutating func name(of vector: IntegerVector) -> String {
    if let name = vectors[vector] { return name }
    let base = "kcompress/\(vector.kind.rawValue)"
    let name =
      switch vector.kind {
      case .extents: uniqueName(base + "/" + vector.values.map(String.init).joined(separator: "x"))
      case .places: uniqueName("\(base)/\(vectors.keys.count { $0.kind == .places })")
      }
    vectors[vector] = name
    add(name, shape: [vector.values.count], dtype: vector.dtype, vector.bytes)
    return name
  }

  /// What a vector takes in a file that holds no other.
  func byteCount(of vector: IntegerVector) throws -> Int {
    var edit = ONNXEdit(original)
    _ = edit.name(of: vector)
    return try edit.added.reduce(0) { sum, addition in
      try sum + Self.byteCount(of: addition)
        + (namesInitializersAsInputs ? ONNXParts.field(ONNXParts.inputField, addition.input.encodedCount) : 0)
    }
  }

  /// Puts nodes in the place of one, and removes the constants that nobody reads then.
  mutating func replace(_ node: Int, with nodes: [Onnx_NodeProto]) {
    replaced[node] = nodes.map { $0.broadcasting(opset: original.opset) }
    let read = Set(nodes.flatMap(\.input))
    for input in original.proto.graph.node[node].input where !read.contains(input) { removal.release(input) }
  }

  /// Casts of what is stored come first: an ONNX graph is sorted.
  private var nodes: [Onnx_NodeProto] {
    added.flatMap(\.reading)
      + original.proto.graph.node.enumerated().flatMap { index, node in
        replaced[index] ?? (removal.nodes.contains(index) ? [] : [removal.rewritten[index] ?? node])
      }
  }

  /// Before IR 4 every initialiser is an input as well.
  private var namesInitializersAsInputs: Bool { original.proto.irVersion < 4 }

  private var recordEntry: Onnx_StringStringEntryProto? {
    record.map { record in
      var entry = Onnx_StringStringEntryProto()
      (entry.key, entry.value) = (ONNXModel.recordKey, record.text())
      return entry
    }
  }

  /// The model without the tensors and the nodes that change.
  private var frame: Onnx_ModelProto {
    var proto = original.proto
    proto.metadataProps.removeAll { $0.key == ONNXModel.recordKey }
    if let recordEntry { proto.metadataProps.append(recordEntry) }
    if !removal.names.isEmpty {
      let (gone, initializers) = (removal.names, removal.initializerNames)
      proto.graph.input.removeAll { initializers.contains($0.name) }
      proto.graph.valueInfo.removeAll { gone.contains($0.name) }
      proto.graph.sparseInitializer.removeAll { initializers.contains($0.values.name) }
    }
    if namesInitializersAsInputs {
      proto.graph.input += added.map(\.input)
    }
    return proto
  }

  /// The file, which takes its bytes from here when it is written.
  ///
  /// - Throws: `Failure` where the file is too large for the format.
  func file() throws -> ONNXFile {
    var proto = frame
    proto.graph.node = nodes
    proto.graph.initializer = []
    let kept = keptInitializers.map { header in
      guard let tensor = original.stored(named: header.name) else {
        return ONNXFile.Initializer(header: header, byteCount: nil) { [] }
      }
      return ONNXFile.Initializer(header: header.bare, byteCount: FourBits.storedCount(tensor, as: header)) {
        FourBits.stored(tensor, as: header)
      }
    }
    let new = added.map { addition in
      ONNXFile.Initializer(header: addition.header, byteCount: addition.byteCount) {
        addition.bytes.map { _ in FourBits.stored(addition.tensor, as: addition.header) }
          ?? Array(repeating: 0, count: addition.byteCount)
      }
    }
    return try ONNXFile(proto, kept + new, byteCount: byteCount())
  }

  private var keptInitializers: [Onnx_TensorProto] {
    original.proto.graph.initializer.enumerated().filter { !removal.initializers.contains($0.offset) }.map(\.element)
  }

  /// The model that reading the file would give.
  ///
  /// - Precondition: All additions have their bytes.
  /// - Throws: `Failure` where two tensors have the same name.
  func model() throws -> ONNXModel {
    var proto = frame
    proto.graph.node = nodes
    proto.graph.initializer = keptInitializers.map(\.bare) + added.map(\.header)
    let initializers =
      keptInitializers.map { header in original.stored(named: header.name)?.renamed(header.name) }
      + added.map(\.tensor)
    return try ONNXModel(
      proto, opset: original.opset, initializers: initializers,
      constants: proto.graph.node.map(original.constant(of:)),
      sparse: proto.graph.sparseInitializer.map { original.stored(named: $0.values.name) }, externalFiles: [])
  }

  /// The bytes of the file that `file` writes.
  ///
  /// - Complexity: O(what changes).
  func byteCount() throws -> Int {
    let parts = original.parts
    var size = parts.graphByteCount + parts.byteCount
    for index in removal.initializers { size -= parts.initializers[index] }
    for index in removal.sparse { size -= parts.sparse[index] }
    let changed = removal.rewritten.filter { !removal.nodes.contains($0.key) }
    for index in removal.nodes.union(replaced.keys).union(changed.keys) { size -= parts.nodes[index] }
    for node in Array(replaced.values.joined()) + changed.values {
      size += ONNXParts.field(1, try node.encodedCount)
    }
    for addition in added { size += try Self.byteCount(of: addition) }
    for name in removal.initializerNames { size -= parts.inputByteCount(of: name) }
    for name in removal.names { size -= parts.valueInfoByteCount(of: name) }
    if namesInitializersAsInputs {
      for addition in added { size += ONNXParts.field(ONNXParts.inputField, try addition.input.encodedCount) }
    }
    let metadata = try recordEntry.map { ONNXParts.field(ONNXParts.metadataField, try $0.encodedCount) } ?? 0
    return parts.modelByteCount + metadata + ONNXParts.field(7, size)
  }

  private static func byteCount(of addition: Addition) throws -> Int {
    let reading = try addition.reading.reduce(0) { $0 + ONNXParts.field(1, try $1.encodedCount) }
    return ONNXParts.field(5, try addition.header.encodedCount + ONNXParts.field(9, addition.byteCount)) + reading
  }
}

import Basics
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
  private let model: ONNXModel
  private var removed: Set<String> = []
  private var added: [Addition] = []
  private var vectors: [String: [Int]] = [:]
  private var replaced: [Int: [Onnx_NodeProto]] = [:]
  var record: JSON?

  private struct Addition {
    var header: Onnx_TensorProto
    let byteCount: Int
    let bytes: [UInt8]?
    /// What makes the value that the graph reads where the tensor is stored in a narrower type.
    let cast: Onnx_NodeProto?
  }

  init(_ model: ONNXModel) { self.model = model }

  mutating func remove(tensor name: String) { removed.insert(name) }

  /// - Parameters:
  ///   - bytes: nil where only the size matters.
  ///   - other: the tensor whose place it takes: the graph computes in that one's type, whatever the file stores.
  mutating func add(_ name: String, shape: [Int], dtype: DType, _ bytes: [UInt8]?, like other: String? = nil) {
    let computed = other.flatMap { model.computedTypes[$0] ?? model.tensor(named: $0)?.dtype } ?? dtype
    var header = Onnx_TensorProto()
    header.name = name
    header.dims = shape.map(Int64.init)
    header.dataType = Onnx_TensorProto.dataType(dtype)
    var cast: Onnx_NodeProto?
    if computed != dtype {
      header.name = "\(name)/\(dtype.rawValue.lowercased())"
      var node = Onnx_NodeProto()
      (node.opType, node.input, node.output) = ("Cast", [header.name], [name])
      node.attribute = [.int("to", Int(Onnx_TensorProto.dataType(computed)))]
      cast = node
    }
    added.append(Addition(header: header, byteCount: dtype.byteCount(of: shape) ?? 0, bytes: bytes, cast: cast))
  }

  mutating func add(_ tensor: StoredTensor, like other: String) {
    add(tensor.name, shape: tensor.shape, dtype: tensor.dtype, tensor.bytes, like: other)
  }

  /// The name of an initialiser with these integers, one for all who want the same.
  mutating func vector(_ values: [Int], _ kind: ONNXStageWriter.VectorKind) -> String {
    let base = "kcompress/\(kind.rawValue)"
    var name = kind == .extents ? base + "/" + values.map(String.init).joined(separator: "x") : ""
    if kind == .places {
      name = (0...vectors.count).map { "\(base)/\($0)" }.first { vectors[$0] == nil || vectors[$0] == values } ?? base
    }
    guard vectors[name] == nil else { return name }
    vectors[name] = values
    // Extents have to be 64-bit integers, places may be shorter.
    let isLong = kind == .extents
    add(
      name, shape: [values.count], dtype: isLong ? .i64 : .i32,
      isLong ? values.map(Int64.init).rawBytes : values.map { Int32($0) }.rawBytes)
    return name
  }

  mutating func replace(_ node: Int, with nodes: [Onnx_NodeProto]) { replaced[node] = nodes }

  private func isKept(_ node: Onnx_NodeProto) -> Bool {
    !(["Constant", "Cast"].contains(node.opType) && node.output.first.map(removed.contains) ?? false)
  }

  private func isKept(_ initializer: Onnx_TensorProto) -> Bool {
    !removed.contains(model.tensor(named: initializer.name)?.name ?? initializer.name)
  }

  /// Casts of what is stored come first: an ONNX graph is sorted.
  private var nodes: [Onnx_NodeProto] {
    added.compactMap(\.cast)
      + model.proto.graph.node.enumerated().flatMap { index, node in replaced[index] ?? (isKept(node) ? [node] : []) }
  }

  /// The model without the tensors and the nodes that change.
  private var frame: Onnx_ModelProto {
    var proto = model.proto
    proto.metadataProps.removeAll { $0.key == ONNXModel.recordKey }
    if let record {
      var entry = Onnx_StringStringEntryProto()
      (entry.key, entry.value) = (ONNXModel.recordKey, record.text())
      proto.metadataProps.append(entry)
    }
    if !removed.isEmpty || !added.isEmpty {
      let gone = Set(proto.graph.initializer.filter { !isKept($0) }.map(\.name))
      proto.graph.input.removeAll { gone.contains($0.name) }
      proto.graph.valueInfo.removeAll { removed.contains($0.name) }
    }
    // Before IR 4 every initialiser is an input as well.
    if proto.irVersion < 4 {
      proto.graph.input += added.map { addition in
        var info = Onnx_ValueInfoProto()
        info.name = addition.header.name
        info.type.tensorType.elemType = addition.header.dataType
        info.type.tensorType.shape.dim = addition.header.dims.map { extent in
          var dimension = Onnx_TensorShapeProto.Dimension()
          dimension.dimValue = extent
          return dimension
        }
        return info
      }
    }
    return proto
  }

  /// - Throws: `Failure` where the file is too large for the format.
  func fileBytes() throws -> [UInt8] {
    let size = try byteCount()
    guard size <= Int(Int32.max) else {
      throw Failure("", "cannot be written", "the model takes \(size) bytes, and an ONNX file holds at most 2 GiB")
    }
    return try proto().serializedBytes(options: ONNXEditor.reproducible)
  }

  private func proto() throws -> Onnx_ModelProto {
    var proto = frame
    proto.graph.node = nodes
    proto.graph.initializer =
      proto.graph.initializer.filter(isKept).map { header in
        guard let tensor = model.tensor(named: header.name) else { return header }
        var result = header.bare
        result.rawData = Data(tensor.bytes)
        return result
      }
      + added.map { addition in
        var result = addition.header
        result.rawData = Data(addition.bytes ?? Array(repeating: 0, count: addition.byteCount))
        return result
      }
    return proto
  }

  func byteCount() throws -> Int {
    var outer = frame
    var inner = outer.graph
    outer.clearGraph()
    inner.node = []
    inner.initializer = []
    var size = try inner.encodedCount
    for (index, node) in model.proto.graph.node.enumerated() {
      if let own = replaced[index] {
        for node in own { size += Self.field(1, try node.encodedCount) }
      } else if isKept(node) {
        size += Self.field(1, model.nodeLengths[index])
      }
    }
    for (index, header) in model.proto.graph.initializer.enumerated() where isKept(header) {
      let data = model.tensor(named: header.name).map { Self.field(9, $0.bytes.count) } ?? 0
      size += Self.field(5, model.initializerLengths[index] + data)
    }
    for addition in added {
      size += Self.field(5, try addition.header.encodedCount + Self.field(9, addition.byteCount))
      if let cast = addition.cast { size += Self.field(1, try cast.encodedCount) }
    }
    return try outer.encodedCount + Self.field(7, size)
  }

  /// The bytes of a field of some length: its tag, its length, itself. All of these field numbers have a tag of one byte.
  private static func field(_ number: Int, _ length: Int) -> Int {
    precondition(number < 16, "a tag of two bytes")
    var (lengthBytes, rest) = (1, length >> 7)
    while rest > 0 {
      lengthBytes += 1
      rest >>= 7
    }
    return 1 + lengthBytes + length
  }
}

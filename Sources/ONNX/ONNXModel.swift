import Basics
import Foundation
import ModelGraph
import ONNXProto
import SwiftProtobuf
import TensorCore

/// An ONNX model as its file has it, with all tensors at hand.
struct ONNXModel: Sendable {
  /// The model with the data of its initialisers in `tensors`, not here.
  let proto: Onnx_ModelProto
  /// The version of the standard operators.
  let opset: Int
  /// Initialisers and the values of Constant nodes, by name, in the file's order. An initialiser that only a Cast to another
  /// floating-point type reads goes by the name of what the Cast makes of it.
  let stored: [StoredTensor]
  /// The values that follow from these.
  private(set) var folding: ONNXFolding
  /// The files that hold data, relative to the model's folder, in the order of their first use.
  let externalFiles: [String]
  /// What its nodes and initialisers take: a plan asks for the size of very many variants.
  let parts: ONNXParts
  let wiring: ONNXWiring
  /// The nodes in an order in which they can run.
  let order: [Int]
  private let places: [String: Int]

  static let recordKey = "kcompress"
  private static let opsets = 6...25

  /// Parses the bytes of a file.
  ///
  /// - Parameter readFile: Reads a file beside the model by its path relative to the model's folder; each is asked for once.
  /// - Throws: `Failure` for what is no model, or none that can be read here.
  init(parsing bytes: [UInt8], readFile: (String) throws -> [UInt8]) throws {
    try self.init(Self.proto(parsing: bytes), byteCount: bytes.count, readFile: readFile)
  }

  /// What the bytes of a file say.
  ///
  /// - Throws: `Failure` for what is no model.
  static func proto(parsing bytes: [UInt8]) throws -> Onnx_ModelProto {
    do {
      return try Onnx_ModelProto(serializedBytes: bytes)
    } catch {
      throw Failure(
        "", "cannot be read", "it is no complete ONNX model", remedy: "fetch or export the file again")
    }
  }

  /// Reads a parsed file.
  ///
  /// - Parameters:
  ///   - proto: The data of its initialisers go as they are read: nobody else should hold it.
  ///   - byteCount: The size of the file.
  ///   - readFile: Reads a file beside the model by its path relative to the model's folder; each is asked for once.
  /// - Throws: `Failure` for what is no model that can be read here.
  init(
    _ proto: consuming Onnx_ModelProto, byteCount: Int, readFile: (String) throws -> [UInt8]
  ) throws {
    guard proto.hasGraph, !proto.graph.node.isEmpty else {
      throw Failure("", "cannot be read", "the model has no graph", remedy: "expected an ONNX model with nodes")
    }
    let opset = try Self.opset(of: proto)
    proto = try proto.expanded()
    var files = ExternalFiles()
    var initializers: [StoredTensor?] = []
    for index in proto.graph.initializer.indices {
      let tensor = try proto.graph.initializer[index].stored { try files.bytes(of: $0, readFile: readFile) }
      initializers.append(tensor)
      // At once, so that no more than one tensor is there twice.
      if tensor != nil { proto.graph.initializer[index].removeData() }
    }
    try proto.graph.takeIn { try files.bytes(of: $0, readFile: readFile) }
    let constants = try proto.graph.node.map { try $0.constantTensor() }
    let sparse = try proto.graph.sparseInitializer.map { try $0.stored(atMost: Self.sparseGrowth * byteCount) }
    try self.init(
      proto, opset: opset, initializers: initializers, constants: constants, sparse: sparse,
      externalFiles: files.order)
    externalByteCount = files.byteCount
  }

  /// A sparse tensor that would take more than so many times the file is not read.
  private static let sparseGrowth = 16

  /// Makes a model of its parts.
  ///
  /// - Parameters:
  ///   - proto: The model with initialisers that have no data.
  ///   - opset: The version of the standard operators.
  ///   - initializers: For each initialiser its tensor under its own name; nil for one that holds no numbers.
  ///   - constants: For each node the tensor that it holds, under the name of its output; nil for one that holds none.
  ///   - sparse: For each sparse initialiser its tensor; nil for one that is not read.
  ///   - externalFiles: See the property.
  /// - Throws: `Failure` where two tensors have the same name, and for a graph that is none: cycles, values that nobody makes.
  init(
    _ proto: Onnx_ModelProto, opset: Int, initializers: [StoredTensor?], constants: [StoredTensor?],
    sparse: [StoredTensor?], externalFiles: [String]
  ) throws {
    var tensors: [StoredTensor] = []
    var places: [String: Int] = [:]
    for tensor in (initializers + constants + sparse).compactMap(\.self) {
      guard places.updateValue(tensors.count, forKey: tensor.name) == nil else {
        throw Failure("tensor '\(tensor.name)'", "cannot be read", "there are two of this name")
      }
      tensors.append(tensor)
    }
    var computedTypes: [String: DType] = [:]
    for (stored, node) in proto.graph.storageCasts {
      guard let place = places[stored], tensors[place].dtype.isCompressible, places[node.output[0]] == nil,
        let type = Onnx_TensorProto.floatType(Int32(clamping: node.attribute[0].i))
      else { continue }
      tensors[place] = tensors[place].renamed(node.output[0])
      places[node.output[0]] = place
      computedTypes[node.output[0]] = type
    }
    self.proto = proto
    self.opset = opset
    stored = tensors
    self.places = places
    self.externalFiles = externalFiles
    folding = ONNXFolding(tensors.map { ($0, computedTypes[$0.name] ?? $0.dtype) })
    parts = try ONNXParts(proto) { name in places[name].map { tensors[$0] } }
    wiring = ONNXWiring(proto.graph)
    order = try Self.sortedNodes(proto.graph, given: Set(tensors.map(\.name)))
    for index in order {
      // The node sees the model as far as it has been folded, and is gone before more is.
      let fold = folding.fold(ONNXNode(proto: proto.graph.node[index], opset: opset, model: self))
      if let fold { folding.take(fold) }
    }
  }

  /// The bytes that the model refers to in the files beside it.
  private(set) var externalByteCount = 0

  private static func opset(of proto: Onnx_ModelProto) throws -> Int {
    let version = proto.opsetImport.first { ["", "ai.onnx"].contains($0.domain) }.map { Int($0.version) } ?? 1
    guard opsets.contains(version) else {
      throw Failure(
        "", "cannot be read", "it uses version \(version) of the standard operators",
        remedy: "expected \(opsets.lowerBound) to \(opsets.upperBound); onnx.version_converter converts")
    }
    return version
  }

  /// The tensor that the file holds under a name; nil where it holds none.
  func stored(named name: String) -> StoredTensor? { places[name].map { stored[$0] } }

  /// The numbers in the bodies of branches and loops, which stay what they are; without those that have the name of another tensor.
  func bodyTensors() -> [StoredTensor] {
    var names = Set(places.keys)
    return proto.graph.node.flatMap { $0.bodies.flatMap { $0.allTensors() } }.filter { tensor in
      tensor.dtype.isCompressible && names.insert(tensor.name).inserted
    }
  }

  /// What is known of a value that follows from the model's tensors; nil for any other.
  func constant(named name: String) -> ONNXConstant? { folding.constants[name] }

  /// A value that follows from the model's tensors as a tensor, under the name of the one that holds it where it is that as it
  /// is; nil for any other.
  func tensor(named name: String) -> StoredTensor? {
    guard let constant = constant(named: name), let holder = holder(constant.reference.name) else { return nil }
    guard !constant.reference.isPlain, let values = try? holder.decoded(as: Double.self) else { return holder }
    return StoredTensor(
      name: name, shape: constant.shape, constant.reference.read(values).elements, as: holder.dtype)
  }

  /// The tensor that a reference reads; nil where the model has none.
  func holder(of reference: TensorReference) -> StoredTensor? {
    holder(reference.name) ?? tensor(named: reference.name)
  }

  private func holder(_ name: String) -> StoredTensor? { stored(named: name) ?? folding.computed[name] }

  /// The tensors of the file of which a tensor consists: itself, or those that it is computed from.
  func sources(of tensor: String) -> Set<String> {
    if stored(named: tensor) != nil { return [tensor] }
    let name = constant(named: tensor)?.reference.name ?? tensor
    return folding.sources[name] ?? [name]
  }

  /// The type of an initialiser that is not read, for messages; nil for any other value.
  func unreadType(of name: String) -> String? {
    guard stored(named: name) == nil else { return nil }
    if wiring.sparse[name] != nil { return "a sparse tensor that takes too much memory" }
    guard let index = wiring.initializers[name] else { return nil }
    let number = Int(proto.graph.initializer[index].dataType)
    return "the type \(Onnx_TensorProto.DataType(rawValue: number).map { "\($0)" } ?? "number \(number)")"
  }

  /// The tensor that a node of the model holds; nil for a node that holds none.
  func constant(of node: Onnx_NodeProto) -> StoredTensor? {
    guard node.opType == "Constant", let name = node.output.first else { return nil }
    return stored(named: name)
  }

  /// The type in which a tensor can be stored when `dtype` is asked for, never wider than that in which the graph computes; nil
  /// where it stays as it is: sparse tensors, and what is too small for a Cast to be worth it.
  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? {
    guard constant(named: tensor.name) != nil, wiring.sparse[tensor.name] == nil,
      tensor.shape.reduce(1, *) >= Self.smallestCast
    else { return nil }
    let computed = constant(named: tensor.name)?.type ?? tensor.dtype
    return dtype.bits < computed.bits ? dtype : computed
  }

  /// A Cast and the longer name take about 100 bytes.
  private static let smallestCast = 64

  /// What apply recorded, nil in an uncompressed model.
  func record() throws -> JSON? {
    guard let text = proto.metadataProps.first(where: { $0.key == Self.recordKey })?.value else { return nil }
    do {
      return try JSON(parsing: text.utf8)
    } catch let failure as Failure {
      throw failure.within("metadata '\(Self.recordKey)'")
    }
  }
}

extension Onnx_GraphProto {
  /// The Cast nodes that alone read an initialiser, with its name.
  fileprivate var storageCasts: [(stored: String, node: Onnx_NodeProto)] {
    let casts = node.filter {
      $0.opType == "Cast" && $0.input.count == 1 && $0.output.count == 1 && $0.attribute.count == 1
    }
    guard !casts.isEmpty else { return [] }
    var readers: [String: Int] = [:]
    for node in node { for input in node.everyInput { readers[input, default: 0] += 1 } }
    for output in output { readers[output.name, default: 0] += 1 }
    return casts.map { ($0.input[0], $0) }.filter { readers[$0.stored] == 1 }
  }
}

extension Onnx_GraphProto {
  /// The tensors of a body that can be read, those of the bodies in it included.
  fileprivate func allTensors() -> [StoredTensor] {
    initializer.compactMap { (try? $0.stored { _ in [] }) ?? nil }
      + node.compactMap { (try? $0.constantTensor()) ?? nil }
      + node.flatMap { $0.bodies.flatMap { $0.allTensors() } }
  }
}

extension Onnx_TensorProto {
  static func floatType(_ dataType: Int32) -> DType? {
    storedType(dataType).flatMap { $0.isCompressible ? $0 : nil }
  }

  /// Removes the numbers, whichever field has them.
  mutating func removeData() {
    rawData = Data()
    floatData = []
    int32Data = []
    int64Data = []
    doubleData = []
    uint64Data = []
    clearDataLocation()
    externalData = []
  }

  /// The tensor without its data and without where these lie.
  var bare: Onnx_TensorProto {
    var result = self
    guard storedType != nil else { return result }
    result.clearDataLocation()
    result.externalData = []
    result.clearRawData()
    return result
  }
}

extension Message {
  var encodedCount: Int {
    get throws { try (serializedBytes(options: ONNXEditor.reproducible) as [UInt8]).count }
  }
}

extension Onnx_NodeProto {
  /// The value of a Constant node in any of its forms, under the name of its output; nil for strings and other nodes.
  fileprivate func constantTensor() throws -> StoredTensor? {
    guard opType == "Constant", output.count == 1, let value = attribute.first else { return nil }
    func vector(_ dtype: DType, _ bytes: [UInt8], count: Int?) -> StoredTensor {
      StoredTensor(name: output[0], dtype: dtype, shape: count.map { [$0] } ?? [], bytes: bytes)
    }
    switch value.name {
    case "value": return try value.t.stored { _ in [] }?.renamed(output[0])
    case "sparse_value":
      return try value.sparseTensor.stored(atMost: 16 * value.sparseTensor.values.rawData.count + 1 << 20)?
        .renamed(output[0])
    case "value_float": return vector(.f32, [value.f].rawBytes, count: nil)
    case "value_floats": return vector(.f32, value.floats.rawBytes, count: value.floats.count)
    case "value_int": return vector(.i64, [value.i].rawBytes, count: nil)
    case "value_ints": return vector(.i64, value.ints.rawBytes, count: value.ints.count)
    default: return nil
    }
  }

  func attribute(named name: String) -> Onnx_AttributeProto? { attribute.first { $0.name == name } }
}

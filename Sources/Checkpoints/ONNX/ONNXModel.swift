import Basics
import Foundation
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
  let tensors: [StoredTensor]
  /// The types in which the graph computes with such initialisers, by the same name.
  let computedTypes: [String: DType]
  /// The files that hold data, relative to the model's folder, in the order of their first use.
  let externalFiles: [String]
  /// What its nodes and initialisers take: a plan asks for the size of very many variants.
  let parts: ONNXParts
  private let places: [String: Int]
  /// The names of the tensors that Constant nodes hold.
  private let constants: Set<String>

  static let recordKey = "kcompress"
  private static let opsets = 7...23

  /// - Parameters:
  ///   - path: of the file; external data lie beside it.
  ///   - visit: is given the bytes of every external file.
  /// - Throws: `Failure` for what is no model, or none that can be read here.
  init(path: String, parsing bytes: [UInt8], visit: ([UInt8]) -> Void = { _ in }) throws {
    var proto: Onnx_ModelProto
    do {
      proto = try Onnx_ModelProto(serializedBytes: bytes)
    } catch {
      throw Failure(
        "", "cannot be read", "it is no complete ONNX model", remedy: "fetch or export the file again")
    }
    guard proto.hasGraph, !proto.graph.node.isEmpty else {
      throw Failure("", "cannot be read", "the model has no graph", remedy: "expected an ONNX model with nodes")
    }
    let version = proto.opsetImport.first { ["", "ai.onnx"].contains($0.domain) }.map { Int($0.version) } ?? 1
    guard Self.opsets.contains(version) else {
      throw Failure(
        "", "cannot be read", "it uses version \(version) of the standard operators",
        remedy: "expected \(Self.opsets.lowerBound) to \(Self.opsets.upperBound); onnx.version_converter converts")
    }
    opset = version

    let folder = path.folderPath as NSString
    var files: [String: [UInt8]] = [:]
    var order: [String] = []
    func external(_ data: ExternalData) throws -> [UInt8] {
      if files[data.location] == nil {
        let file = try InputFile.read(folder.appendingPathComponent(data.location))
        visit(file)
        files[data.location] = file
        order.append(data.location)
      }
      let file = files[data.location] ?? []
      let (end, overflow) = data.offset.addingReportingOverflow(data.length)
      guard !overflow, end <= file.count else {
        throw Failure(
          "tensor '\(data.tensor)'", "cannot be read",
          "its data end at byte \(data.offset) + \(data.length), and '\(data.location)' has \(file.count)")
      }
      return Array(file[data.offset..<end])
    }

    var tensors: [StoredTensor] = []
    var places: [String: Int] = [:]
    func add(_ tensor: StoredTensor) throws {
      guard places.updateValue(tensors.count, forKey: tensor.name) == nil else {
        throw Failure("tensor '\(tensor.name)'", "cannot be read", "there are two of this name")
      }
      tensors.append(tensor)
    }
    for index in proto.graph.initializer.indices {
      guard let tensor = try proto.graph.initializer[index].stored(external: external) else { continue }
      try add(tensor)
      proto.graph.initializer[index].rawData = Data()
      proto.graph.initializer[index].floatData = []
      proto.graph.initializer[index].int32Data = []
      proto.graph.initializer[index].int64Data = []
      proto.graph.initializer[index].doubleData = []
      proto.graph.initializer[index].uint64Data = []
    }
    var constants: Set<String> = []
    for node in proto.graph.node where node.opType == "Constant" && node.output.count == 1 {
      guard let tensor = try node.constantTensor(external: external) else { continue }
      try add(tensor.renamed(node.output[0]))
      constants.insert(node.output[0])
    }
    self.constants = constants
    var computedTypes: [String: DType] = [:]
    for (stored, node) in proto.graph.storageCasts {
      guard let place = places[stored], tensors[place].dtype.isCompressible, places[node.output[0]] == nil,
        let type = Onnx_TensorProto.floatType(Int32(clamping: node.attribute[0].i))
      else { continue }
      tensors[place] = tensors[place].renamed(node.output[0])
      places[node.output[0]] = place
      computedTypes[node.output[0]] = type
    }
    self.computedTypes = computedTypes
    self.proto = proto
    parts = try ONNXParts(proto) { name in places[name].map { tensors[$0] } }
    self.tensors = tensors
    self.places = places
    externalFiles = order
  }

  func tensor(named name: String) -> StoredTensor? { places[name].map { tensors[$0] } }

  /// The type in which a tensor can be stored when `dtype` is asked for, never wider than that in which the graph computes; nil
  /// where it stays as it is: values of Constant nodes, and what is too small for a Cast to be worth it.
  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? {
    let isConstant = constants.contains(tensor.name)
    guard !isConstant, tensor.shape.reduce(1, *) >= Self.smallestCast else { return nil }
    let computed = computedTypes[tensor.name] ?? tensor.dtype
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

extension Onnx_TensorProto {
  static func floatType(_ dataType: Int32) -> DType? {
    var tensor = Onnx_TensorProto()
    tensor.dataType = dataType
    return tensor.storedType.flatMap { $0.isCompressible ? $0 : nil }
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
  /// The value of a Constant node in any of its forms; nil for strings and sparse tensors.
  fileprivate func constantTensor(external: (ExternalData) throws -> [UInt8]) throws -> StoredTensor? {
    guard let value = attribute.first else { return nil }
    func vector(_ dtype: DType, _ bytes: [UInt8], count: Int?) -> StoredTensor {
      StoredTensor(name: "", dtype: dtype, shape: count.map { [$0] } ?? [], bytes: bytes)
    }
    switch value.name {
    case "value": return try value.t.stored(external: external)
    case "value_float": return vector(.f32, [value.f].rawBytes, count: nil)
    case "value_floats": return vector(.f32, value.floats.rawBytes, count: value.floats.count)
    case "value_int": return vector(.i64, [value.i].rawBytes, count: nil)
    case "value_ints": return vector(.i64, value.ints.rawBytes, count: value.ints.count)
    default: return nil
    }
  }

  func attribute(named name: String) -> Onnx_AttributeProto? { attribute.first { $0.name == name } }
}

import Basics
import Checkpoints
import Formats
import Foundation
import Inference
import ModelGraph
import ONNXProto
import SwiftProtobuf
import TensorCore
import TestSupport
import Testing

/// A model is hostile until it is read.
@Suite struct ONNXTests {
  /// Convolution, ReLU, global pooling, linear layer.
  static func model(_ change: (inout Onnx_ModelProto) -> Void = { _ in }) -> Onnx_ModelProto {
    var model = Onnx_ModelProto()
    model.irVersion = 8
    var opset = Onnx_OperatorSetIdProto()
    opset.version = 13
    model.opsetImport = [opset]
    model.graph.name = "test"
    model.graph.node = [
      node("Conv", ["x", "conv.weight"], "c"), node("Relu", ["c"], "r"), node("GlobalAveragePool", ["r"], "g"),
      node("Flatten", ["g"], "f"), node("Gemm", ["f", "fc.weight", "fc.bias"], "y"),
    ]
    model.graph.initializer = [
      tensor("conv.weight", [8, 3, 3, 3]), tensor("fc.weight", [8, 4]), tensor("fc.bias", [4]),
    ]
    model.graph.input = [value("x", [nil, 3, 8, 8])]
    model.graph.output = [value("y", [nil, 4])]
    change(&model)
    return model
  }

  static func node(_ type: String, _ inputs: [String], _ output: String) -> Onnx_NodeProto {
    var node = Onnx_NodeProto()
    (node.opType, node.input, node.output) = (type, inputs, [output])
    return node
  }

  static func tensor(_ name: String, _ shape: [Int]) -> Onnx_TensorProto {
    var generator = SplitMix64(seed: UInt64(name.count))
    var tensor = Onnx_TensorProto()
    (tensor.name, tensor.dims, tensor.dataType) = (name, shape.map(Int64.init), 1)
    tensor.floatData = (0..<shape.reduce(1, *)).map { _ in Float(generator.nextGaussian()) }
    return tensor
  }

  static func value(_ name: String, _ shape: [Int?]) -> Onnx_ValueInfoProto {
    var value = Onnx_ValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = 1
    value.type.tensorType.shape.dim = shape.map { extent in
      var dimension = Onnx_TensorShapeProto.Dimension()
      if let extent { dimension.dimValue = Int64(extent) } else { dimension.dimParam = "n" }
      return dimension
    }
    return value
  }

  func open(_ model: Onnx_ModelProto, beside files: [String: [UInt8]] = [:]) throws -> Checkpoint {
    try open(try model.serializedBytes(), beside: files)
  }

  private func open(_ bytes: [UInt8], beside files: [String: [UInt8]] = [:]) throws -> Checkpoint {
    try withTemporaryFolder { folder in
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/model.onnx"))
      for (name, content) in files { try Data(content).write(to: URL(fileURLWithPath: folder + "/" + name)) }
      return try Checkpoint.open(folder + "/model.onnx")
    }
  }

  private func expectRefusal(_ message: String, _ open: () throws -> Checkpoint) {
    do {
      _ = try open()
      Issue.record("it was read")
    } catch let failure as Failure {
      #expect(failure.description.contains(message), "\(failure)")
      #expect(failure.description.contains("model.onnx"), "\(failure)")
      #expect(!failure.description.contains("\n"))
    } catch {
      Issue.record("\(error)")
    }
  }

  @Test func readsLayersAndGraph() throws {
    let checkpoint = try open(Self.model())
    #expect(checkpoint.layers.map(\.name) == ["conv", "fc"])
    #expect(checkpoint.layers.map(\.kernelShape) == [[8, 3, 3, 3], [4, 8]])
    #expect(checkpoint.layers[0].inputExtents == [[8, 8]])
    #expect(try checkpoint.graph?.macs() == 6 * 6 * 8 * 27 + 32)
    #expect(try checkpoint.graph?.shapes(batch: 5)["y"] == [5, 4])
  }

  @Test(arguments: [0.1, 0.5, 0.9, 0.99])
  func truncated(_ part: Double) throws {
    let bytes: [UInt8] = try Self.model().serializedBytes()
    expectRefusal("it is no complete ONNX model") { try open(Array(bytes.prefix(Int(Double(bytes.count) * part)))) }
  }

  @Test func randomDamageNeverCrashes() throws {
    let bytes: [UInt8] = try Self.model().serializedBytes()
    var generator = SplitMix64(seed: 9)
    for _ in 0..<300 {
      var damaged = bytes
      for _ in 0..<3 {
        damaged[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
      }
      // Either it is read or it is refused.
      _ = try? open(damaged)
    }
  }

  @Test func graphsThatAreNone() throws {
    expectRefusal("the graph has a cycle") {
      try open(Self.model { $0.graph.node[0].input[0] = "r" })
    }
    expectRefusal("'conv.weight' is neither an input, an initialiser nor made by a node") {
      try open(Self.model { $0.graph.initializer.removeFirst() })
    }
    expectRefusal("two nodes make it") { try open(Self.model { $0.graph.node[2].output = ["r"] }) }
    expectRefusal("there are two of this name") {
      try open(Self.model { $0.graph.initializer.append($0.graph.initializer[0]) })
    }
    expectRefusal("the model has no graph") { try open(Self.model { $0.graph.node = [] }) }
    expectRefusal("it uses version 3") { try open(Self.model { $0.opsetImport[0].version = 3 }) }
  }

  @Test func tensorsThatAreNone() throws {
    expectRefusal("has a negative extent") { try open(Self.model { $0.graph.initializer[0].dims[1] = -3 }) }
    expectRefusal("takes 3221225472 bytes and it has 864") {
      try open(Self.model { $0.graph.initializer[0].dims = [8, 3, 1 << 25] })
    }
    expectRefusal("is larger than any memory") {
      try open(Self.model { $0.graph.initializer[0].dims = [1 << 40, 1 << 40] })
    }
    expectRefusal("its shape has an extent of") {
      try open(Self.model { $0.graph.input[0].type.tensorType.shape.dim[2].dimValue = 1 << 40 })
    }
  }

  private static func external(_ location: String, offset: Int = 0, length: Int? = nil) -> Onnx_ModelProto {
    model { model in
      model.graph.initializer[0].floatData = []
      model.graph.initializer[0].dataLocation = .external
      model.graph.initializer[0].externalData = [
        ("location", location), ("offset", "\(offset)"), ("length", length.map(String.init) ?? "864"),
      ].map { key, value in
        var entry = Onnx_StringStringEntryProto()
        (entry.key, entry.value) = (key, value)
        return entry
      }
    }
  }

  @Test(arguments: ["../weights.bin", "/etc/passwd", "a/../../b", ""])
  func dataOutsideOfTheFolder(_ location: String) {
    expectRefusal(location.isEmpty ? "it names no file" : "outside of the model's folder") {
      try open(Self.external(location))
    }
  }

  @Test func externalData() throws {
    let content = (0..<900).map { UInt8($0 % 13) }
    let checkpoint = try open(Self.external("weights.bin", offset: 16), beside: ["weights.bin": content])
    #expect(checkpoint.tensor(named: "conv.weight")?.bytes == Array(content[16..<880]))
    // What else lies in the file is none of the model's.
    #expect(
      checkpoint.byteCount == (try Self.external("weights.bin", offset: 16).serializedBytes() as [UInt8]).count + 864)
    // What is written holds its data itself.
    try withTemporaryFolder { folder in
      let path = folder + "/alone.onnx"
      try checkpoint.write(replacing: [], record: [:], to: path, overwrite: false)
      #expect(try Checkpoint.open(path).tensor(named: "conv.weight")?.bytes == Array(content[16..<880]))
      #expect(try checkpoint.byteCount(replacing: [], record: [:]) == InputFile.read(path).count)
    }
    expectRefusal("and 'weights.bin' has 900") {
      try open(Self.external("weights.bin", offset: 100), beside: ["weights.bin": content])
    }
    expectRefusal("takes 864 bytes and it has 8") {
      try open(Self.external("weights.bin", length: 8), beside: ["weights.bin": content])
    }
    expectRefusal("weights.bin") { try open(Self.external("weights.bin")) }
  }

  /// Tensors are changed in the model at hand, which must then be the one that reading the written file gives.
  @Test(arguments: [3, 8])
  func changedTensorsGiveTheModelOfTheirFile(_ irVersion: Int64) throws {
    let original = try open(
      Self.model { model in
        model.irVersion = irVersion
        // One weight is the value of a node.
        var constant = Self.node("Constant", [], "fc.weight")
        var value = Onnx_AttributeProto()
        (value.name, value.type, value.t) = ("value", .tensor, model.graph.initializer.remove(at: 1))
        constant.attribute = [value]
        model.graph.node.insert(constant, at: 0)
      })
    let kernels = Dictionary(
      uniqueKeysWithValues: original.layers.map { ($0.name, Tensor<Double>(zeros: $0.kernelShape).map { _ in 0.25 }) })
    let converted = try original.converted(to: .f16)
    #expect(converted.tensor(named: "conv.weight")?.dtype == .f16)
    for changed in [
      converted, try original.substituting(kernels: kernels), try converted.substituting(kernels: kernels),
    ] {
      try withTemporaryFolder { folder in
        let paths = ["/a.onnx", "/b.onnx"].map { folder + $0 }
        try changed.write(replacing: [], record: ["a": 1], to: paths[0], overwrite: false)
        let read = try Checkpoint.open(paths[0])
        #expect(read.tensors == changed.tensors && read.layers == changed.layers && read.graph == changed.graph)
        try read.write(replacing: [], record: ["a": 1], to: paths[1], overwrite: false)
        #expect(try InputFile.read(paths[0]) == InputFile.read(paths[1]))
        #expect(try changed.byteCount(replacing: [], record: ["a": 1]) == read.byteCount)
      }
    }
  }

  /// The size that a plan counts with is the size of the file, whatever is replaced, and the file is read again.
  @Test(arguments: [3, 8])
  func writtenSizeIsKnownBefore(_ irVersion: Int64) throws {
    let checkpoint = try open(Self.model { $0.irVersion = irVersion })
    let point = Window.unit(2)
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [2, 3, 1, 1], window: point)),
      .permutation(axes: [2, 1], order: [1, 0]),
      .convolution(Convolution(kernelShape: [4, 1, 3, 3], batch: 2, window: point)),
    ]
    let replacement = Replacement(
      layer: "conv", stages: stages,
      weights: stages.convolutions.map { Tensor(zeros: $0.kernelShape).map { _ in 0.5 } })
    let record: JSON = ["a": "b"]
    try withTemporaryFolder { folder in
      for replacements in [[], [replacement]] {
        let path = folder + "/\(replacements.count).onnx"
        try checkpoint.write(replacing: replacements, record: record, to: path, overwrite: false)
        let bytes = try InputFile.read(path)
        #expect(try checkpoint.byteCount(replacing: replacements, record: record) == bytes.count)
        // Made part by part, it is what the library makes of the whole.
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        #expect(try Onnx_ModelProto(serializedBytes: bytes).serializedBytes(options: options) == bytes)
        let written = try Checkpoint.open(path)
        #expect(written.record == record)
        #expect(written.tensor(named: "conv.weight") == nil || replacements.isEmpty)
        let engine = try Engine(try #require(written.graph)) { reference in
          let stored = try #require(written.tensor(named: reference.name))
          return reference.read(try stored.decoded())
        }
        let outputs = try engine.run(["x": Tensor(zeros: [2, 3, 8, 8]).map { _ in 1 }])
        #expect(outputs.map(\.shape) == [[2, 4]])
      }
    }
  }
}

import Basics
import Checkpoints
import Formats
import Foundation
import Inference
import ModelGraph
import ONNXProto
import TensorCore
import TestSupport
import Testing

/// Kernels and their company as nodes make them from the model's tensors, and graphs that cannot be followed.
@Suite struct ONNXFoldingTests {
  private typealias Change = @Sendable (inout Onnx_ModelProto) -> Void

  private static func node(
    _ type: String, _ inputs: [String], _ output: String, _ attributes: [Onnx_AttributeProto] = []
  ) -> Onnx_NodeProto {
    var node = ONNXTests.node(type, inputs, output)
    node.attribute = attributes
    return node
  }

  private static func ints(_ name: String, _ values: [Int64]) -> Onnx_AttributeProto {
    var attribute = Onnx_AttributeProto()
    (attribute.name, attribute.type, attribute.ints) = (name, .ints, values)
    return attribute
  }

  private static func integers(_ name: String, _ values: [Int64]) -> Onnx_TensorProto {
    var tensor = Onnx_TensorProto()
    (tensor.name, tensor.dims, tensor.dataType, tensor.int64Data) = (name, [Int64(values.count)], 7, values)
    return tensor
  }

  /// Changes of the model conv, relu, pooling, Gemm that leave what it computes as it is: the way in which `conv.weight` (or the
  /// bias) comes about, and the layer's name then.
  private static let ways: [(String, Change)] = [
    (
      "conv",
      { model in
        model.graph.initializer[0].name = "stored"
        model.graph.node.insert(node("Identity", ["stored"], "conv.weight"), at: 0)
      }
    ),
    (
      "conv",
      { model in
        model.graph.initializer[0].name = "flat"
        model.graph.initializer[0].dims = [8, 27]
        model.graph.initializer.append(integers("extents", [8, 3, -1, 3]))
        model.graph.node.insert(node("Reshape", ["flat", "extents"], "conv.weight"), at: 0)
      }
    ),
    (
      "conv",
      { model in
        // In two halves, and turned round twice.
        var half = ONNXTests.tensor("a", [4, 3, 3, 3])
        half.floatData = Array(model.graph.initializer[0].floatData[..<108])
        model.graph.initializer.append(half)
        (half.name, half.floatData) = ("b", Array(model.graph.initializer[0].floatData[108...]))
        model.graph.initializer.append(half)
        model.graph.initializer.removeFirst()
        var axis = Onnx_AttributeProto()
        (axis.name, axis.type, axis.i) = ("axis", .int, 0)
        model.graph.node.insert(
          contentsOf: [
            node("Concat", ["a", "b"], "joined", [axis]), node("Neg", ["joined"], "turned"),
            node("Neg", ["turned"], "conv.weight"),
          ], at: 0)
      }
    ),
  ]

  private func engine(_ checkpoint: Checkpoint) throws -> Engine {
    try Engine(try #require(checkpoint.graph)) { try checkpoint.parameter($0) }
  }

  private let input = Tensor<Float>(shape: [2, 3, 8, 8], elements: (0..<384).map { Float($0 % 17) / 17 })

  @Test(arguments: ONNXFoldingTests.ways.indices)
  func kernelsThatNodesMake(_ index: Int) throws {
    let (name, change) = Self.ways[index]
    let plain = try ONNXTests().open(ONNXTests.model())
    let checkpoint = try ONNXTests().open(ONNXTests.model(change))
    let layer = try #require(checkpoint.layers.first)
    #expect(layer.kernelShape == [8, 3, 3, 3] && layer.refusal == nil)
    #expect(layer.name == name || layer.name == "stored" || layer.name == "flat")
    #expect(checkpoint.parameterCount == plain.parameterCount)
    #expect(try engine(checkpoint).run(["x": input]) == engine(plain).run(["x": input]))
    #expect(try checkpoint.kernel(of: layer) == plain.kernel(of: plain.layers[0]))
  }

  /// Whatever is replaced or stored otherwise, the size is known before, and what nobody reads any more is gone.
  @Test(arguments: ONNXFoldingTests.ways.indices, [3, 8] as [Int64])
  func writtenSizesAreExact(_ index: Int, _ irVersion: Int64) throws {
    let checkpoint = try ONNXTests().open(
      ONNXTests.model { model in
        Self.ways[index].1(&model)
        model.irVersion = irVersion
      })
    let layer = try #require(checkpoint.layers.first)
    let stages: [Stage] = [
      .convolution(layer.convolution), .convolution(Convolution(kernelShape: [8, 8, 1, 1], window: .unit(2))),
    ]
    let replacement = Replacement(
      layer: layer.name, stages: stages,
      weights: stages.convolutions.map { Tensor(zeros: $0.kernelShape).map { _ in 0.5 } })
    let kernels = [layer.name: Tensor<Double>(zeros: layer.kernelShape).map { _ in 0.25 }]
    let variants: [(Checkpoint, [Replacement])] = [
      (checkpoint, []), (checkpoint, [replacement]), (try checkpoint.converted(to: .f16), []),
      (try checkpoint.substituting(kernels: kernels), []),
    ]
    try withTemporaryFolder { folder in
      for (number, (changed, replacements)) in variants.enumerated() {
        let path = folder + "/\(number).onnx"
        try changed.write(replacing: replacements, record: ["a": 1], to: path, overwrite: false)
        let bytes = try InputFile.read(path)
        #expect(try changed.byteCount(replacing: replacements, record: ["a": 1]) == bytes.count, "variant \(number)")
        let written = try Checkpoint.open(path)
        #expect(try engine(written).run(["x": input]).map(\.shape) == [[2, 4]])
        guard number > 0 else { continue }
        let names = Set(try Onnx_ModelProto(serializedBytes: bytes).graph.initializer.map(\.name))
        if number == 1 { #expect(names.isDisjoint(with: ["stored", "flat", "extents", "a", "b", "conv.weight"])) }
        if number == 3 {
          #expect(try written.kernel(of: #require(written.layers.first)).elements.allSatisfy { $0 == 0.25 })
        }
      }
    }
  }

  @Test func transposedMatrices() throws {
    let checkpoint = try ONNXTests().open(
      ONNXTests.model { model in
        model.graph.initializer[1].dims = [4, 8]
        model.graph.node.insert(Self.node("Transpose", ["fc.weight"], "turned", [Self.ints("perm", [1, 0])]), at: 0)
        model.graph.node[5].input[1] = "turned"
      })
    let layer = try #require(checkpoint.layers.last)
    #expect(layer.name == "fc" && layer.kernelShape == [4, 8] && layer.refusal == nil)
    #expect(layer.kernel == TensorReference("fc.weight"))
  }

  @Test func oneKernelUsedTwice() throws {
    func model(_ attributes: [Onnx_AttributeProto], bias: String?) -> Onnx_ModelProto {
      ONNXTests.model { model in
        model.graph.initializer.append(ONNXTests.tensor("other", [8]))
        model.graph.node.insert(
          Self.node("Conv", ["x", "conv.weight"] + (bias.map { [$0] } ?? []), "c2", attributes), at: 1)
        model.graph.output.append(ONNXTests.value("c2", [nil, 8, nil, nil]))
      }
    }
    // Another bias: one layer, and every use keeps its own.
    let biased = try ONNXTests().open(model([], bias: "other"))
    #expect(biased.layers[0].refusal == nil && biased.layers[0].bias == nil)
    let window = Window.unit(2)
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [8, 3, 3, 3], window: window)),
      .convolution(Convolution(kernelShape: [8, 8, 1, 1], window: window)),
    ]
    var identity = Tensor<Double>(zeros: [8, 8, 1, 1])
    identity = Tensor(shape: identity.shape, elements: (0..<64).map { $0 % 9 == 0 ? 1 : 0 })
    let kernel = try biased.kernel(of: biased.layers[0])
    try withTemporaryFolder { folder in
      let path = folder + "/a.onnx"
      try biased.write(
        replacing: [Replacement(layer: "conv", stages: stages, weights: [kernel, identity])], record: nil, to: path,
        overwrite: false)
      let results = try [biased, Checkpoint.open(path)].map { try engine($0).run(["x": input]) }
      for (a, b) in zip(results[0], results[1]) {
        #expect(zip(a.elements, b.elements).allSatisfy { abs($0 - $1) < 1e-4 })
      }
    }
    // A use without a bias beside one with a bias and another window.
    let bare = try ONNXTests().open(
      ONNXTests.model { model in
        model.graph.node[0].input.append("other")
        model.graph.initializer.append(ONNXTests.tensor("other", [8]))
        model.graph.node.insert(
          Self.node("Conv", ["x", "conv.weight"], "c2", [Self.ints("dilations", [2, 2])]), at: 1)
        model.graph.output.append(ONNXTests.value("c2", [nil, 8, nil, nil]))
      })
    #expect(try engine(bare).run(["x": input]).map(\.shape) == [[2, 4], [2, 8, 4, 4]])
    // Another stride: dense, and it says so.
    let strided = try ONNXTests().open(model([Self.ints("strides", [2, 2])], bias: nil))
    #expect(strided.layers[0].refusal == "its uses have different strides, paddings or dilations, that of 'c2' say")
    #expect(try engine(strided).run(["x": input]).map(\.shape) == [[2, 4], [2, 8, 3, 3]])
  }

  @Test func madeNamesAreNew() throws {
    let checkpoint = try ONNXTests().open(
      ONNXTests.model { model in
        model.graph.node[1].output = ["c/0"]
        model.graph.node[2].input = ["c/0"]
        model.graph.node[3].input = ["conv.0.weight"]
        model.graph.node[2].output = ["conv.0.weight"]
      })
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [2, 3, 3, 3], window: .unit(2))),
      .convolution(Convolution(kernelShape: [8, 2, 1, 1], window: .unit(2))),
    ]
    let replacement = Replacement(
      layer: "conv", stages: stages, weights: stages.convolutions.map { Tensor(zeros: $0.kernelShape) })
    #expect(try checkpoint.partNames(replacing: [replacement]) == [["conv_.0", "conv_.1"]])
    try withTemporaryFolder { folder in
      let path = folder + "/a.onnx"
      try checkpoint.write(replacing: [replacement], record: nil, to: path, overwrite: false)
      #expect(try Checkpoint.open(path).layers.map(\.name) == ["conv_.0", "conv_.1", "fc"])
    }
  }

  /// One node is not run; the file is read, with all layers.
  @Test func oneNodeCannotBeRun() throws {
    func unsupported(_ change: (inout Onnx_ModelProto) -> Void) throws -> String? {
      let checkpoint = try ONNXTests().open(ONNXTests.model(change))
      #expect(checkpoint.layers.map(\.name) == ["conv", "fc"])
      return checkpoint.graph?.unsupportedNode
    }
    // 8 channels come, and the layer wants 5.
    #expect(
      try unsupported { $0.graph.initializer[1].dims = [2, 16] }?.contains("which does not fit its input") == true)
    // Strings.
    let strings = try unsupported { model in
      var tensor = Onnx_TensorProto()
      (tensor.name, tensor.dims, tensor.dataType, tensor.stringData) = ("words", [1], 8, [Data([65])])
      model.graph.initializer.append(tensor)
      model.graph.node.append(Self.node("Add", ["y", "words"], "z"))
      model.graph.output[0].name = "z"
    }
    #expect(strings == "layer 'z': which reads 'words', and the type string is not read")
  }

  @Test func inputsOfAnyShape() throws {
    for open in [false, true] {
      let checkpoint = try ONNXTests().open(
        ONNXTests.model { model in
          model.graph.input[0].type.tensorType.clearShape()
          if open {
            // Nothing that reads the input says how many axes it has.
            model.graph.node.insert(Self.node("Relu", ["x"], "first"), at: 0)
            model.graph.node[1].input[0] = "first"
          }
        })
      #expect(checkpoint.graph?.inputs[0].rankIsOpen == open)
      #expect(!checkpoint.isRunnable)
      #expect(try engine(checkpoint).run(["x": input])[0].shape == [2, 4])
    }
  }

  @Test func sparseTensors() throws {
    let model = ONNXTests.model { model in
      var sparse = Onnx_SparseTensorProto()
      sparse.values = ONNXTests.tensor("fc.bias", [2])
      sparse.values.floatData = [3, 5]
      sparse.indices = Self.integers("places", [1, 3])
      sparse.dims = [4]
      model.graph.initializer.removeLast()
      model.graph.sparseInitializer = [sparse]
    }
    let checkpoint = try ONNXTests().open(model)
    #expect(try checkpoint.tensor(named: "fc.bias")?.decoded(as: Float.self).elements == [0, 3, 0, 5])
    #expect(checkpoint.graph?.unsupportedNode == nil)
    #expect(throws: Failure.self) {
      try ONNXTests().open(
        {
          var wrong = model
          wrong.graph.sparseInitializer[0].indices.int64Data[1] = 4
          return wrong
        }())
    }
  }

  /// A small model that says it makes much of little is not believed.
  @Test func largeConstantsAreNotMade() throws {
    let checkpoint = try ONNXTests().open(
      ONNXTests.model { model in
        model.graph.initializer.append(Self.integers("extents", [1 << 15, 1 << 15]))
        model.graph.node.append(Self.node("ConstantOfShape", ["extents"], "large"))
        model.graph.node.append(Self.node("ReduceMax", ["large"], "most"))
        model.graph.node.append(Self.node("Add", ["y", "most"], "z"))
      })
    #expect(checkpoint.tensors.allSatisfy { $0.bytes.count < 10_000 })
  }
}

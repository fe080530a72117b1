import Basics
import Checkpoints
import Formats
import HDF5
import TensorCore
import TestSupport
import Testing

@testable import Keras

@Suite struct KerasFileTests {
  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func opensTheFixture() throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    #expect(checkpoint.format == "keras-h5" && checkpoint.formatVersion?.hasPrefix("3.") == true)
    #expect(
      checkpoint.layers.map(\.name) == [
        "stem", "block_conv1", "block_conv2", "down", "separable/depthwise", "separable", "hidden", "digit",
      ])
    let down = try #require(checkpoint.layers.first { $0.name == "down" })
    #expect(down.kernelShape == [64, 32, 3, 3] && down.convolution.window.stride == [2, 2])
    #expect(down.inputExtents == [[8, 8]])
    #expect(checkpoint.graph?.inputs.map(\.name) == ["image"])
    #expect(checkpoint.graph?.outputs.map(\.name) == ["digit"])
    #expect(checkpoint.notices.contains { $0.contains("optimiser") })
    #expect(Set(checkpoint.tensors.map(\.name)).count == checkpoint.tensors.count)
  }

  @Test func keepsEveryTensorAndTheRecord() throws {
    let original = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let record: JSON = ["schema": "test", "text": "é\n\"", "list": [1, .real(2.5)]]
    try withTemporaryFolder { folder in
      let path = folder + "/copy.h5"
      try original.write(replacing: [], record: record, to: path, overwrite: false)
      let copy = try Checkpoint.open(path)
      #expect(copy.tensors == original.tensors)
      #expect(copy.layers == original.layers && copy.graph == original.graph)
      #expect(copy.record == record)
      #expect(copy.notices.isEmpty)
      #expect(try original.byteCount(replacing: [], record: record) == copy.byteCount)
      #expect(
        message { try original.write(replacing: [], record: record, to: path, overwrite: false) }.contains(
          "exists already"))
    }
  }

  private func tensor(_ name: String, _ shape: [Int]) -> StoredTensor {
    var generator = SplitMix64(seed: 1)
    return StoredTensor(name: name, Tensor<Float>(gaussian: shape, using: &generator), as: .f32)
  }

  private func file(
    config: JSON? = nil, _ layers: [(String, [StoredTensor])], isWeightsOnly: Bool = false
  ) -> KerasFile {
    KerasFile(
      modelConfig: config, kerasVersion: "2.4.0", backend: "tensorflow",
      layers: layers.map { KerasFile.LayerGroup(name: $0.0, weights: $0.1) }, topLevelWeights: nil,
      isWeightsOnly: isWeightsOnly, hasOptimizerState: false, record: nil)
  }

  /// Writes a tree and opens it as a checkpoint.
  private func open<Result>(_ tree: HDF5Group, _ body: (Checkpoint) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      try HDF5File.write(tree, to: folder + "/m.h5")
      return try body(try Checkpoint.open(folder + "/m.h5"))
    }
  }

  private var convolution: [(String, [StoredTensor])] {
    [("conv", [tensor("conv/conv/kernel:0", [3, 3, 4, 8]), tensor("conv/conv/bias:0", [8])]), ("relu", [])]
  }

  private func config(filters: Int = 8) -> JSON {
    [
      "class_name": "Sequential",
      "config": [
        "name": "s",
        "layers": [
          [
            "class_name": "Conv2D",
            "config": [
              "name": "conv", "batch_input_shape": [nil, 6, 6, 4], "filters": .integer(filters), "kernel_size": [3, 3],
              "strides": [1, 1], "padding": "same", "use_bias": true, "activation": "linear",
            ],
          ],
          ["class_name": "ReLU", "config": ["name": "relu"]],
        ],
      ],
    ]
  }

  @Test func weightsWithoutArchitectureCanBeSeenOnly() throws {
    try open(file(convolution, isWeightsOnly: true).hdf5) { checkpoint in
      #expect(checkpoint.graph == nil && checkpoint.graphAbsence == "the file holds weights only")
      #expect(checkpoint.layers.map(\.name) == ["conv"])
      #expect(checkpoint.layers[0].kernelShape == [8, 4, 3, 3] && checkpoint.layers[0].refusal != nil)
      #expect(checkpoint.layers[0].bias?.name == "conv/conv/bias:0")
    }
  }

  /// What apply wrote finds its architecture; a file that only happens to have a .json beside it is left alone.
  @Test func compressedWeightsTakeTheArchitectureBesideThem() throws {
    var weights = file(convolution, isWeightsOnly: true)
    try withTemporaryFolder { folder in
      let (path, beside) = (folder + "/w.h5", folder + "/w.json")
      try HDF5File.write(weights.hdf5, to: path)
      #expect(try !Checkpoint.open(path).missesArchitecture)
      weights.record = ["a": 1]
      try HDF5File.write(weights.hdf5, to: path)
      let alone = try Checkpoint.open(path)
      #expect(alone.missesArchitecture && alone.graph == nil && alone.architecturePath(besides: path) == nil)

      try OutputFile.write(config().text().utf8, to: beside, overwrite: false)
      let whole = try Checkpoint.open(path)
      #expect(!whole.missesArchitecture && whole.graph != nil)
      #expect(whole.architecturePath(besides: path) == beside)
      weights.record = nil
      try HDF5File.write(weights.hdf5, to: path)
      #expect(try Checkpoint.open(path).graph == nil)
      #expect(try Checkpoint.open(path, architecture: beside).graph != nil)
    }
  }

  @Test func namesMaySpanAttributes() throws {
    let layers = (0..<1500).map { index in
      let name = "layer_with_a_name_of_some_forty_characters_\(index)"
      return (name, [StoredTensor(name: name + "/a:0", dtype: .u8, shape: [1], bytes: [7])])
    }
    let written = file(layers + convolution)
    #expect(written.hdf5.groups["model_weights"]?.attributes["layer_names1"] != nil)
    try withTemporaryFolder { folder in
      try HDF5File.write(written.hdf5, to: folder + "/m.h5")
      let read = try KerasFile(HDF5File.read(folder + "/m.h5"), architecture: nil)
      #expect(read.layers.map(\.name) == written.groupsWithWeights.map(\.name))
      #expect(read.layers.last { $0.name == "conv" }?.weights == convolution[0].1)
    }
  }

  /// Keras passes over the groups of layers without weights, so none are written.
  @Test func onlyLayersWithWeightsHaveGroups() {
    let section = file([("relu", [])] + convolution).hdf5.groups["model_weights"]
    #expect(section.map { Array($0.groups.keys) } == ["conv"])
    #expect(section?.attributes["layer_names"] == .strings(["conv"]))
  }

  @Test func readsASequentialOfKeras2() throws {
    try open(file(config: config(), convolution).hdf5) { checkpoint in
      #expect(checkpoint.graph?.nodes.map(\.layer) == ["conv", "relu"])
      let shapes = try #require(try checkpoint.graph?.shapes())
      #expect(shapes["relu"] == [nil, 6, 6, 8])
      #expect(checkpoint.layers[0].inputExtents == [[6, 6]] && checkpoint.layers[0].refusal == nil)
    }
  }

  @Test func saysWhatIsWrong() throws {
    func refusal(_ tree: HDF5Group) throws -> String {
      try withTemporaryFolder { folder in
        try HDF5File.write(tree, to: folder + "/m.h5")
        return message { _ = try Checkpoint.open(folder + "/m.h5") }
      }
    }
    #expect(try refusal(HDF5Group()).contains("not one of Keras"))

    var missing = file(config: config(), convolution).hdf5
    missing.groups["model_weights"]?.groups["conv"]?.groups["conv"]?.datasets["bias:0"] = nil
    #expect(try refusal(missing).contains("its weight 'conv/bias:0' is missing"))

    var twice = file(config: config(), convolution).hdf5
    twice.groups["model_weights"]?.attributes["layer_names"] = .strings(["conv", "conv"])
    #expect(try refusal(twice).contains("'conv' twice"))

    var unknown = file(config: config(), convolution).hdf5
    unknown.groups["model_weights"]?.attributes["layer_names"] = .strings(["conv", "absent"])
    #expect(try refusal(unknown).contains("'absent'"))

    var broken = file(config: config(), convolution).hdf5
    broken.attributes["model_config"] = .string("{\"class_name\": ")
    #expect(try refusal(broken).contains("model_config"))

    #expect(try refusal(file(config: "text", convolution).hdf5).contains("model_config"))
    #expect(try refusal(file(config: config(filters: 9), convolution).hdf5).contains("[3, 3, 4, 8]"))
    #expect(
      try refusal(file(config: config(), [("conv", [convolution[0].1[0]]), ("relu", [])]).hdf5).contains("'conv'"))
  }

  @Test func repairsWhatKeras3Refuses() throws {
    let old: JSON = [
      "class_name": "DepthwiseConv2D", "config": ["name": "d", "groups": 1, "kernel_initializer": "x"],
    ]
    #expect(
      KerasConfigRepair.repaired(["layers": [old]])
        == ["layers": [["class_name": "DepthwiseConv2D", "config": ["name": "d", "kernel_initializer": "x"]]]])
    let grouped: JSON = ["class_name": "Conv2D", "config": ["groups": 2]]
    #expect(KerasConfigRepair.repaired(grouped) == grouped)
    func dropout(_ config: JSON) -> JSON { ["class_name": "SpatialDropout2D", "config": config] }
    #expect(
      KerasConfigRepair.repaired(dropout(["rate": .real(0.5), "trainable": true, "noise_shape": .null]))
        == dropout(["rate": .real(0.5)]))
    #expect(KerasConfigRepair.repaired(dropout(["trainable": false])) == dropout(["trainable": false]))
  }
}

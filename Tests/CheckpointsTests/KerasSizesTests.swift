import Basics
import Checkpoints
import Formats
import Foundation
import HDF5
import KerasLayers
import ModelGraph
import TensorCore
import TestSupport
import Testing
import ZIP

@testable import Keras

/// The size that is announced is that of the file that is written, to the byte.
@Suite struct KerasSizesTests {
  /// The ways in which Keras lays out a model.
  enum Layout: CaseIterable { case keras2, keras3, weightsOnly, variables, archive }

  @Test(arguments: Layout.allCases, 0..<6)
  func sizesAreExact(layout: Layout, seed: Int) throws {
    var maker = RandomKerasModel(layout == .keras2 || layout == .weightsOnly ? .two : .three, seed: UInt64(seed))
    let checkpoint = try Self.checkpoint(maker.model(isSequential: seed % 2 == 0), layout)
    try Self.expectExact(checkpoint, rounds: 6, seed: UInt64(seed), "\(layout), seed \(seed)")
  }

  /// Names that need several attributes, and arrays of a type that the file states as text.
  @Test func listsThatNeedSeveralAttributes() throws {
    let form = KerasForm(version: .two)
    let names = (0..<40).map { String(repeating: "long", count: 500) + "\($0)" }
    let file = form.file(
      form.model(
        "wide", sequential: [form.input("image", [5, 5, 4])] + names.map { form.conv(2, $0, 4, [1, 1]) }),
      [form.group("image")] + names.map { form.group($0, [1, 1, 4, 4]) })
    try Self.expectExact(Self.checkpoint("wide.h5", file, in: .hdf5), rounds: 2, seed: 1, "long names")
  }

  @Test func fixture() throws {
    let path = TestPath.fixture("digits.h5")
    try Self.expectExact(Checkpoint.open(path), rounds: 3, seed: 5, path)
  }

  // MARK: Files of other people, each skipped by itself where it is absent

  private static let tiny = ["pretrainedResnet", "vww_96", "str_ww_ref_model"].map { "mlperf_tiny/\($0).h5" }

  @Test(.needsShared(tiny), arguments: tiny)
  func mlPerfTiny(_ name: String) throws { try Self.expectSharedExact(name) }

  @Test(.needsShared("mesonet/Meso4_DF.h5"))
  func mesonet() throws { try Self.expectSharedExact("mesonet/Meso4_DF.h5") }

  @Test(.needsShared("face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5"))
  func xception() throws { try Self.expectSharedExact("face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5") }

  @Test(.needsShared("mobilenet_v1/mobilenet_v1_0.25_224.h5"))
  func mobileNet() throws { try Self.expectSharedExact("mobilenet_v1/mobilenet_v1_0.25_224.h5") }

  @Test(.needsShared("keras3_mnist/model.keras"))
  func keras3() throws { try Self.expectSharedExact("keras3_mnist/model.keras") }

  @Test(.needsShared("eegnet/EEGNet-8-2-weights.h5"))
  func eegNet() throws { try Self.expectSharedExact("eegnet/EEGNet-8-2-weights.h5") }

  @Test(.needsShared("squeezenet/squeezenet_notop_weights.h5"))
  func squeezeNet() throws { try Self.expectSharedExact("squeezenet/squeezenet_notop_weights.h5") }

  /// Small files of many kinds.
  private static let cases = [
    "attention.keras", "autoencoder_and_code.h5", "autoencoder_and_code.keras", "crnn_bidirectional.h5",
    "float16.keras", "frames.h5", "grouped_and_group_norm.h5", "int8_dense.keras", "lstm_state.h5",
    "nested_dictionary.h5", "nested_dictionary.keras", "text_embedding.h5", "text_embedding.keras", "transposed.h5",
    "two_heads.h5", "two_heads.keras",
  ].map { "cases/keras/\($0)" }

  @Test(.needsShared(cases), arguments: cases)
  func manyKinds(_ name: String) throws { try Self.expectSharedExact(name) }

  private static func expectSharedExact(_ name: String) throws {
    let path = try #require(TestPath.shared(name))
    try expectExact(Checkpoint.open(path), rounds: 3, seed: 5, path)
  }

  // MARK: Comparing

  private static func expectExact(_ checkpoint: Checkpoint, rounds: Int, seed: UInt64, _ text: String) throws {
    let graph = try #require(checkpoint.kerasGraph)
    var generator = SplitMix64(seed: seed)
    let choices = try graph.layers.filter { $0.refusal == nil }.map { try graph.replacements(of: $0, limit: 2) }
      .filter { !$0.isEmpty }
    for round in 0...rounds {
      // None, one, some, all.
      let share = round == 0 ? 0 : round == rounds ? 1 : generator.nextUniform()
      var replacements = choices.compactMap { choices -> Replacement? in
        guard generator.nextUniform() < share else { return nil }
        return choices[Int(generator.next() % UInt64(choices.count))]
      }
      if round == 1, let choice = choices.first { replacements = [choice[0]] }
      for place in replacements.indices where generator.nextUniform() < 0.6 {
        let layer = try #require(graph.layers.first { $0.name == replacements[place].layer })
        let width = BitWidth.allCases[Int(generator.next() % UInt64(BitWidth.allCases.count))]
        guard graph.refusal(of: graph.storage(width), for: layer) == nil else { continue }
        if generator.nextUniform() < 0.5 { replacements[place] = try graph.denseReplacement(of: layer) }
        replacements[place] = replacements[place].rounded(to: width)
      }
      let record: JSON = ["text": .string(String(repeating: "r", count: round == 2 ? 70_000 : 10 * round))]
      let announced = try checkpoint.byteCount(replacing: replacements.map(\.withoutWeights), record: record)
      let written = try withTemporaryFolder { folder in
        let path = folder + "/out" + (text.hasSuffix(".keras") ? ".keras" : ".h5")
        try checkpoint.write(replacing: replacements, record: record, to: path, overwrite: false)
        return try InputFile.read(path).count
      }
      let names = replacements.map { "\($0.layer) as \($0.structure), \($0.storage)" }
      #expect(announced == written, "\(text): \(announced - written) bytes too many with \(names)")
    }
  }

  static func checkpoint(_ path: String, _ file: KerasFile, in container: KerasContainer) throws -> Checkpoint {
    Checkpoint(path: path, sha256: "", byteCount: 0, notices: [], content: try KerasGraph(file, in: container))
  }

  static func checkpoint(_ file: KerasFile, _ layout: Layout) throws -> Checkpoint {
    var file = file
    file.hasOptimizerState = false
    switch layout {
    case .keras2, .keras3: return try Self.checkpoint("model.h5", file, in: .hdf5)
    case .weightsOnly:
      file.isWeightsOnly = true
      return try Self.checkpoint("model.h5", file, in: .hdf5)
    case .variables:
      file.isWeightsOnly = true
      let variables = try KerasVariables(HDF5Group(), of: KerasModel(try #require(file.modelConfig)))
      return try Self.checkpoint("model.weights.h5", file, in: .variables(variables))
    case .archive:
      let config = try #require(file.modelConfig)
      let variables = try KerasVariables(HDF5Group(), of: KerasModel(config))
      let weights = try withTemporaryFolder { folder in
        try HDF5File.write(try variables.hdf5(of: file), to: folder + "/w.h5")
        return try InputFile.read(folder + "/w.h5")
      }
      let metadata = #"{"keras_version": "3.4.0"}"#
      let members = [
        ("metadata.json", Array(metadata.utf8)), ("config.json", Array(config.text().utf8)),
        ("model.weights.h5", weights),
        ("assets/a.txt", [1, 2, 3]),
      ]
      let (archive, read) = try KerasArchive.read(try ZipArchive.fileBytes(members))
      return try Self.checkpoint("model.keras", read, in: .archive(archive))
    }
  }
}

extension Checkpoint {
  var kerasGraph: KerasGraph? { content as? KerasGraph }
}

extension KerasGraph {
  /// The layer in its own form, with its own kernel.
  func denseReplacement(of layer: Layer) throws -> Replacement {
    let kernel = try #require(weightsByName[layer.kernel.name]).decoded(as: Double.self)
    return Replacement(
      layer: layer.name, structure: Replacement.dense, stages: layer.denseStages, weights: [layer.kernel.read(kernel)])
  }
}

extension Replacement {
  fileprivate var withoutWeights: Replacement {
    Replacement(layer: layer, structure: structure, stages: stages, storage: storage)
  }

  /// The same with every number at the nearest place of a grid.
  func rounded(to width: BitWidth) -> Replacement {
    let levels = Levels.byteFloats(width)[0]
    return Replacement(
      layer: layer, structure: structure, stages: stages,
      rounded: weights.map { weight in
        let largest = weight.elements.reduce(1e-9) { max($0, abs($1)) }
        let scale = Float(ByteFloat.unit(exponent: Int((Float(largest) / Float(ByteFloat.largest)).exponent) + 1))
        return RoundedTensor(
          shape: weight.shape, width: width,
          integers: weight.elements.map { levels.integer(nearest: $0 / Double(scale)) },
          scales: Array(repeating: scale, count: weight.shape[0]), levels: levels)
      })
  }
}

/// Makes small networks with names, wiring and nesting that differ from seed to seed.
private struct RandomKerasModel {
  private let form: KerasForm
  private var generator: SplitMix64
  private var count = 0
  private var groups: [KerasFile.LayerGroup] = []

  init(_ version: KerasForm.Version, seed: UInt64) {
    form = KerasForm(version: version)
    generator = SplitMix64(seed: seed)
  }

  private mutating func below(_ bound: Int) -> Int { Int(generator.next() % UInt64(bound)) }

  private mutating func name() -> String {
    count += 1
    let stem = ["conv2d", "c", "é x", String(repeating: "long", count: 18), "block/conv", "conv2d_1"][below(6)]
    return "\(stem)_\(count)"
  }

  mutating func model(isSequential: Bool) -> KerasFile {
    var layers = [form.input("image", [6, 6, 4], isSequential ? nil : [])]
    groups = [form.group("image")]
    var (channels, last) = (4, "image")
    func calls(_ inputs: [String]) -> [KerasForm.Call]? { isSequential ? nil : [inputs] }
    for _ in 0..<4 + below(8) {
      let name = name()
      let kind = below(10)
      if kind == 0 {
        let (inner, weights) = nested(name, channels)
        layers.append(isSequential ? inner : form.nested(inner, name, [[last]]))
        groups.append(form.group(name, weights))
      } else if kind == 1, !isSequential {
        layers.append(form.layer("Add", name, [:], [[last, last]]))
        groups.append(form.group(name))
      } else if kind == 2, !isSequential {
        // Applied twice.
        layers.append(form.conv(2, name, channels, [3, 3], [:], [[last], [name]]))
        groups.append(form.group(name, [3, 3, channels, channels]))
        last = name + ":1"
        continue
      } else {
        let (filters, side) = (4 + 2 * below(3), 1 + 2 * below(2))
        let settings: JSONObject = ["activation": ["linear", "relu"][below(2)]]
        layers.append(form.conv(2, name, filters, [side, side], settings, calls([last])))
        groups.append(form.group(name, [side, side, channels, filters]))
        channels = filters
      }
      last = name
    }
    let model =
      isSequential
      ? form.model("net", sequential: layers) : form.model("net", layers, inputs: ["image"], outputs: [last])
    return form.file(model, groups)
  }

  /// A model as a layer, which keeps the number of channels.
  private mutating func nested(_ name: String, _ channels: Int) -> (JSON, [(String, [Int])]) {
    var layers = [form.input("entry", [6, 6, channels])]
    var weights: [(String, [Int])] = []
    for _ in 0..<1 + below(4) {
      let inner = self.name().replacingOccurrences(of: "/", with: "-")
      layers.append(form.conv(2, inner, channels, [3, 3]))
      weights += [("\(inner)/kernel", [3, 3, channels, channels]), ("\(inner)/bias", [channels])]
    }
    return (form.model(name, sequential: layers), weights)
  }
}

import Basics
import Checkpoints
import Decompositions
import ModelGraph
import TensorCore
import Testing

@testable import Keras

@Suite struct KerasEditorTests {
  /// Models that differ in what the editor has to get right; each in the form of Keras 2 and of Keras 3.
  private static let models: [(name: String, make: @Sendable (KerasForm) -> KerasFile)] = [
    (
      "a chain with strides and activations",
      { form in
        form.file(
          form.model(
            "s",
            sequential: [
              form.input("image", [9, 8, 4]),
              form.conv(2, "first", 6, [3, 3], ["strides": [2, 2], "activation": "relu"]),
              form.conv(2, "second", 8, [2, 3], ["padding": "valid", "use_bias": true]),
              form.layer("Flatten", "flat"), form.dense("classes", 6, "softmax"),
            ]),
          [
            form.group("image"), form.group("first", [3, 3, 4, 6]), form.group("second", [2, 3, 6, 8]),
            form.group("flat"), form.group("classes", [64, 6]),
          ])
      }
    ),
    (
      "one axis, causal and dilated",
      { form in
        form.file(
          form.model(
            "line",
            sequential: [
              form.input("signal", [12, 4]),
              form.conv(1, "causal", 6, [3], ["padding": "causal", "dilation_rate": [2]]),
              form.conv(1, "plain", 4, [4], ["activation": "tanh"]),
            ]),
          [
            form.group("signal"), form.group("causal", [3, 4, 6]), form.group("plain", [4, 6, 4]),
          ])
      }
    ),
    (
      "a residual block, its layer shared",
      { form in
        form.file(
          form.model(
            "f",
            [
              form.input("image", [6, 6, 4], []), form.conv(2, "shared", 4, [3, 3], [:], [["image"], ["shared"]]),
              form.layer("Add", "sum", [:], [["image", "shared:1"]]),
              form.conv(2, "last", 6, [3, 3], ["dilation_rate": [2, 2], "activation": "elu"], [["sum"]]),
            ], inputs: ["image"], outputs: ["last", "sum"]),
          [
            form.group("image"), form.group("shared", [3, 3, 4, 4]), form.group("sum"),
            form.group("last", [3, 3, 4, 6]),
          ])
      }
    ),
    (
      "a model inside",
      { form in
        let inner = form.model(
          "inner",
          sequential: [
            form.input("entry", [5, 5, 4]), form.conv(2, "deep", 6, [3, 3]), form.conv(2, "deeper", 4, [1, 1]),
          ])
        return form.file(
          form.model(
            "outer", sequential: [form.input("image", [5, 5, 4]), inner, form.conv(2, "last", 4, [3, 3])]),
          [
            form.group("image"),
            form.group(
              "inner",
              [
                ("deep/kernel", [3, 3, 4, 6]), ("deep/bias", [6]), ("deeper/kernel", [1, 1, 6, 4]),
                ("deeper/bias", [4]),
              ]),
            form.group("last", [3, 3, 4, 4]),
          ])
      }
    ),
    (
      "channels first",
      { form in
        form.file(
          form.model(
            "first",
            sequential: [
              form.input("image", [4, 7, 6]),
              form.conv(
                2, "conv", 6, [3, 3], ["data_format": "channels_first", "strides": [1, 2], "activation": "relu"]),
            ]),
          [form.group("image"), form.group("conv", [3, 3, 4, 6])])
      }
    ),
  ]

  @Test(arguments: models.indices, KerasForm.Version.allCases)
  func stockLayersComputeTheStages(index: Int, version: KerasForm.Version) throws {
    let (name, make) = Self.models[index]
    let graph = try KerasGraph(make(KerasForm(version: version)))
    #expect(graph.graphAbsence == nil, "\(name): \(graph.graphAbsence ?? "")")
    var structures: Set<String> = []
    for layer in graph.layers where layer.refusal == nil {
      for replacement in try graph.replacements(of: layer, limit: 3) {
        let edited = try KerasGraph(KerasEditor(graph).replacing([replacement], record: ["r": 1]))
        let text =
          "\(name), Keras \(version.rawValue), \(layer.name) as \(replacement.structure): \(replacement.stages)"
        #expect(edited.graphAbsence == nil, "\(text): \(edited.graphAbsence ?? "")")
        expectSame(try edited.outputs(), try graph.outputs(replacing: [replacement]), text)
        structures.insert(replacement.structure)
      }
    }
    #expect(structures.isSuperset(of: Structures.names), "\(name): \(structures)")
  }

  @Test(arguments: models.indices, KerasForm.Version.allCases)
  func everythingElseStays(index: Int, version: KerasForm.Version) throws {
    let graph = try KerasGraph(Self.models[index].make(KerasForm(version: version)))
    let editor = KerasEditor(graph)
    let replacements = try graph.layers.filter { $0.refusal == nil }.compactMap {
      try graph.replacements(of: $0, limit: 1).last
    }
    let file = try editor.replacing(replacements, record: ["r": 1])
    let edited = try KerasGraph(file)
    expectSame(try edited.outputs(), try graph.outputs(replacing: replacements), Self.models[index].name)
    #expect(file.record == ["r": 1] && !file.hasOptimizerState)
    // Outputs keep their names, and so does what their shape is made of.
    #expect(edited.graph?.outputs.map(\.name) == graph.graph?.outputs.map(\.name))

    // The parts that are announced hold the factors, in their order.
    let layers = Dictionary(edited.layers.map { ($0.name, $0) }) { first, _ in first }
    for (replacement, names) in zip(replacements, try editor.partNames(replacing: replacements)) {
      #expect(names.count == replacement.stages.convolutions.count)
      for (name, convolution) in zip(names, replacement.stages.convolutions) {
        #expect(layers[name]?.kernelShape.reduce(1, *) == convolution.parameterCount, "\(name)")
      }
    }
    // Tensors of other layers are the same, and the same call gives the same file.
    let replaced = Set(
      graph.layers.filter { layer in replacements.contains { $0.layer == layer.name } }.map(\.kernel.name))
    let kept = graph.tensorsByName.filter { !replaced.contains($0.key) && !$0.key.contains("bias") }
    for (name, tensor) in kept { #expect(edited.tensorsByName[name] == tensor) }
    #expect(try editor.replacing(replacements.reversed(), record: ["r": 1]).hdf5 == file.hdf5)
    let sizesOnly = replacements.map { Replacement(layer: $0.layer, structure: $0.structure, stages: $0.stages) }
    let sized = try editor.replacing(sizesOnly, record: ["r": 1])
    #expect(sized.modelConfig == file.modelConfig)
    #expect(sized.layers.map { $0.weights.map(\.shape) } == file.layers.map { $0.weights.map(\.shape) })
  }

  @Test func refusesWhatCannotBe() throws {
    let form = KerasForm(version: .two)
    // A batched stage needs to know the extents that it folds.
    let open = try KerasGraph(
      form.file(
        form.model("s", sequential: [form.input("image", [nil, nil, 4]), form.conv(2, "conv", 4, [3, 3])]),
        [form.group("image"), form.group("conv", [3, 3, 4, 4])]))
    let batched: [Stage] = [
      .convolution(Convolution(kernelShape: [2, 2, 3, 3], batch: 2, window: open.layers[0].convolution.window)),
      .bias(channels: 4),
    ]
    let reason = try #require(KerasEditor(open).refusal(of: batched, for: open.layers[0]))
    #expect(reason.contains("extents"))
    #expect(throws: Failure.self) {
      try KerasEditor(open).replacing([Replacement(layer: "conv", stages: batched)], record: nil)
    }
    #expect(throws: Failure.self) {
      try KerasEditor(open).replacing([Replacement(layer: "absent", stages: [])], record: nil)
    }
    let bare = try KerasGraph(
      KerasFile(
        modelConfig: nil, kerasVersion: nil, backend: nil, layers: [form.group("conv", [3, 3, 4, 4])],
        topLevelWeights: nil, isWeightsOnly: true, hasOptimizerState: false, record: nil))
    #expect(throws: Failure.self) {
      try KerasEditor(bare).replacing([Replacement(layer: "conv", stages: [])], record: nil)
    }
    #expect(try KerasEditor(bare).replacing([], record: nil).layers.map(\.name) == ["conv"])
  }
  /// Means and variances that were given are numbers, however they are nested, and nothing is passed over.
  @Test(
    arguments: [
      ("[[[0.4, 0.5]]]", nil), ("[0.4, \"x\"]", "'mean' is no list of numbers"), ("[0.4, null]", "'mean' is no list"),
      ("{\"value\": 0.4}", "'mean' is no list of numbers"), ("true", "'mean' is no list of numbers"),
    ] as [(String, String?)])
  func givenStatisticsAreNumbers(_ mean: String, _ message: String?) throws {
    let form = KerasForm(version: .three)
    let settings: JSONObject = ["axis": -1, "mean": try JSON(parsing: Array(mean.utf8)), "variance": [1, 2]]
    let file = form.file(
      form.model("n", sequential: [form.input("image", [5, 5, 2]), form.layer("Normalization", "scale", settings)]),
      [form.group("image"), form.group("scale")])
    let graph = Result { try KerasGraph(file) }
    switch graph {
    case .success(let graph):
      let problem = graph.graphAbsence ?? graph.graph?.unsupportedNode
      #expect(message.map { problem?.contains($0) == true } ?? (problem == nil), "\(problem ?? "")")
    case .failure(let error): #expect(message.map { "\(error)".contains($0) } == true, "\(error)")
    }
  }
}

import Basics
import Checkpoints
import Decompositions
import ModelGraph
import TensorCore
import Testing

@testable import Keras

/// Convolutions with groups, and transposed ones: structures take their places in stock layers too.
@Suite struct KerasGroupsAndTransposedTests {
  private static func transposed(
    _ form: KerasForm, _ order: Int, _ name: String, _ filters: Int, _ kernel: [Int], _ settings: JSONObject
  ) -> JSON {
    var all: JSONObject = [
      "filters": .integer(filters), "kernel_size": .integers(kernel), "padding": "same",
      "data_format": "channels_last", "dilation_rate": .integers(kernel.map { _ in 1 }), "activation": "linear",
      "use_bias": true, "output_padding": nil,
    ]
    for (key, value) in settings.pairs { all[key] = value }
    return form.layer("Conv\(order)DTranspose", name, all)
  }

  static let models: [(name: String, make: @Sendable (KerasForm) -> KerasFile)] = [
    (
      "an upsampling chain",
      { form in
        form.file(
          form.model(
            "s",
            sequential: [
              form.input("code", [3, 4, 8]),
              transposed(form, 2, "same", 6, [4, 4], ["strides": [2, 2], "activation": "relu"]),
              transposed(form, 2, "stated", 6, [3, 3], ["strides": [2, 2], "output_padding": [1, 0]]),
              transposed(form, 2, "valid", 5, [3, 2], ["strides": [1, 3], "padding": "valid", "use_bias": false]),
              transposed(form, 2, "gaps", 4, [1, 3], ["strides": [2, 1]]),
            ]),
          [
            form.group("code"), form.group("same", [4, 4, 6, 8], bias: 6), form.group("stated", [3, 3, 6, 6], bias: 6),
            form.group("valid", [("valid/kernel", [3, 2, 5, 6])]), form.group("gaps", [1, 3, 4, 5], bias: 4),
          ])
      }
    ),
    (
      "one axis",
      { form in
        form.file(
          form.model(
            "line",
            sequential: [
              form.input("code", [5, 8]), transposed(form, 1, "up", 6, [5], ["strides": [3]]),
            ]), [form.group("code"), form.group("up", [5, 6, 8], bias: 6)])
      }
    ),
    (
      "groups",
      { form in
        form.file(
          form.model(
            "g",
            sequential: [
              form.input("image", [6, 5, 12]),
              form.conv(2, "two", 8, [3, 3], ["groups": 2, "strides": [2, 2], "activation": "tanh"]),
              form.conv(2, "four", 16, [1, 1], ["groups": 4]),
            ]), [form.group("image"), form.group("two", [3, 3, 6, 8]), form.group("four", [1, 1, 2, 16])])
      }
    ),
  ]

  @Test(arguments: models.indices, KerasForm.Version.allCases)
  func stockLayersComputeTheStages(index: Int, version: KerasForm.Version) throws {
    let (name, make) = Self.models[index]
    let graph = try KerasGraph(make(KerasForm(version: version)))
    #expect(graph.graphAbsence == nil, "\(name): \(graph.graphAbsence ?? "")")
    for layer in graph.layers {
      #expect(layer.refusal == nil, "\(name): \(layer.name) is refused: \(layer.refusal ?? "")")
      let replacements = try graph.replacements(of: layer, limit: 3)
      #expect(Set(replacements.map(\.structure)).isSuperset(of: ["svd", "tucker"]), "\(layer.name): \(replacements)")
      for replacement in replacements {
        let edited = try KerasGraph(KerasEditor(graph).replacing([replacement], record: ["r": 1]))
        let text =
          "\(name), Keras \(version.rawValue), \(layer.name) as \(replacement.structure): \(replacement.stages)"
        #expect(edited.graphAbsence == nil, "\(text): \(edited.graphAbsence ?? "")")
        expectSame(try edited.outputs(), try graph.outputs(replacing: [replacement]), text)
        // The stages are the composed kernel, run as the layer is run.
        let kernel = try #require(
          ComposedKernel.compose(replacement.stages, weights: replacement.weights, layer: layer.convolution))
        let dense = Replacement(
          layer: layer.name, structure: "dense", stages: layer.denseStages, weights: [kernel])
        expectSame(try graph.outputs(replacing: [dense]), try graph.outputs(replacing: [replacement]), text)
      }
    }
  }
}

extension KerasForm {
  /// A transposed layer with a kernel (spatial..., out, in) and a bias.
  fileprivate func group(_ name: String, _ kernel: [Int], bias: Int) -> KerasFile.LayerGroup {
    group(name, [("\(name)/kernel", kernel), ("\(name)/bias", [bias])])
  }
}

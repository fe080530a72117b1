import ModelGraph
import TensorCore
import Testing

@testable import Safetensors

@Suite struct SafetensorsLayersTests {
  @Test func findsConvolutionsAndLinearLayers() {
    let layers = SafetensorsLayers.layers(of: [
      tensor("net.conv.weight", .bf16, [8, 4, 3, 5]), tensor("net.conv.bias", .f32, [8]),
      tensor("net.bn.weight", .f32, [8]), tensor("net.bn.num_batches_tracked", .i64, []),
      tensor("fc.weight", .f32, [10, 8]), tensor("table.weight", .i8, [4, 4]),
      tensor("temporal.weight", .f64, [4, 3, 2, 2, 2]), tensor("rnn.weight_ih_l0", .f32, [8, 4]),
    ])
    #expect(layers.map(\.name) == ["net.conv", "fc", "temporal", "rnn.weight_ih_l0"])
    #expect(layers.map(\.kind) == [.convolution, .linear, .convolution, .linear])
    #expect(layers.map(\.bias?.name) == ["net.conv.bias", nil, nil, nil])
    #expect(layers.map(\.dtype) == [.bf16, .f32, .f64, .f32])
    #expect(layers.allSatisfy { $0.refusal == nil && $0.inputExtents.isEmpty })
    #expect(layers[0].convolution == Convolution(kernelShape: [8, 4, 3, 5], window: .unit(2)))
  }

  @Test func theRootModuleHasALayerOfItsOwn() {
    let layers = SafetensorsLayers.layers(of: [
      tensor("weight", .f32, [4, 4]), tensor("bias", .f32, [4]),
    ])
    #expect(layers.map(\.name) == ["weight"])
    #expect(layers[0].refusal == nil && layers[0].bias?.name == "bias")
    let both = SafetensorsLayers.layers(of: [
      tensor("weight", .f32, [4, 4]), tensor("weight.weight", .f32, [4, 4]),
    ])
    #expect(both.map(\.kernel.name) == ["weight.weight"])
  }

  @Test(arguments: [
    ([tensor("dw.weight", .f32, [8, 1, 3, 3])], "depthwise"),
    ([tensor("wte.weight", .f32, [100, 8])], "embedding"),
    ([tensor("model.embed_tokens.weight", .f16, [100, 8])], "embedding"),
    ([tensor("up.deconv1.weight", .f32, [8, 4, 2, 2])], "transposed"),
    ([tensor("convTranspose.weight", .f32, [8, 4, 2, 2])], "transposed"),
    ([tensor("out.weight", .f32, [1, 64, 3, 3])], "one output channel"),
    ([tensor("none.weight", .f32, [0, 4])], "empty"),
    ([tensor("q.weight", .f8e4m3, [8, 8])], "F8_E4M3"),
    (
      [tensor("c.weight", .f32, [4, 4]), tensor("c.bias", .f32, [4, 1])],
      "shape [4, 1] instead of [4]"
    ),
    (
      [tensor("c.weight", .f32, [4, 4]), tensor("c.0.weight", .f32, [4])],
      "other than 'weight' and 'bias'"
    ),
    (
      [tensor("c.weight", .f32, [4, 4]), tensor("c.scale", .f32, [4])],
      "other than 'weight' and 'bias'"
    ),
  ])
  func refuses(_ tensors: [StoredTensor], _ reason: String) {
    let layers = SafetensorsLayers.layers(of: tensors)
    #expect(layers.first?.refusal?.contains(reason) == true)
  }

  @Test func aPatchEmbeddingIsAConvolution() {
    let layers = SafetensorsLayers.layers(of: [
      tensor("patch_embed.proj.weight", .f32, [8, 3, 4, 4])
    ])
    #expect(layers.map(\.refusal) == [nil])
  }
}

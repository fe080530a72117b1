import ModelGraph
import TensorCore
import Testing

@Suite struct StageScalesTests {
  private func convolution(_ kernel: [Int], groups: Int = 1, batch: Int = 1) -> Stage {
    .convolution(Convolution(kernelShape: kernel, groups: groups, batch: batch, window: .unit(kernel.count - 2)))
  }

  /// A CP has scales for its rank once and for its output channels.
  @Test func channelsThatAreHandedOnHaveNone() {
    let cp = [
      convolution([5, 8, 1, 1]), convolution([5, 1, 3, 1], groups: 5), convolution([5, 1, 1, 3], groups: 5),
      convolution([8, 5, 1, 1]), .bias(channels: 8),
    ]
    #expect(cp.hasScales == [false, false, true, true])
    #expect(
      cp.byteCount(.f32, .integers(.eight), scaleType: .bf16) == 5 * 8 + 5 * 3 + 5 * 3 + 8 * 5 + (5 + 8) * 2 + 8 * 4)
    // What is between, or another count of channels or copies, keeps them.
    #expect(
      [convolution([4, 8, 1, 1]), .permutation(axes: [2, 2], order: [1, 0]), convolution([4, 1, 3, 1], groups: 4)]
        .hasScales == [true, true])
    #expect([convolution([4, 8, 1, 1]), convolution([8, 1, 3, 1], groups: 4)].hasScales == [true, true])
    #expect([convolution([4, 8, 1, 1]), convolution([4, 2, 3, 1], groups: 2)].hasScales == [true, true])
    #expect(
      [convolution([4, 8, 1, 1], batch: 2), convolution([4, 1, 3, 1], groups: 4, batch: 2)].hasScales == [false, true])
    #expect([convolution([4, 8, 1, 1], batch: 2), convolution([8, 1, 3, 1], groups: 8)].hasScales == [true, true])
  }

  @Test func impliedScalesKeepTheSizeOfInputs() {
    for width in BitWidth.allCases {
      for shape in [[4, 1, 1, 1], [30, 64, 1, 1], [7, 1, 3, 3], [2, 4096]] {
        let scale = Double(RoundedTensor.impliedScale(shape, width))
        let gain = Double(width.largest) * Double(shape.dropFirst().reduce(1, *)).squareRoot() * scale
        #expect(scale.significand == 1 && gain > 0.7 && gain < 1.4143)
      }
    }
    #expect(RoundedTensor.impliedScale([30, 64, 1, 1], .three) == 1.0 / 32)
  }
}

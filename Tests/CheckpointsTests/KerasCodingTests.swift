import Basics
import Checkpoints
import Decompositions
import Formats
import Foundation
import HDF5
import ModelGraph
import TensorCore
import TestSupport
import Testing

@testable import Keras

/// Weights in fewer bits: a file gives back the numbers that were rounded, bit for bit, and needs their bits and little more.
@Suite struct KerasCodingTests {
  private static let layouts: [KerasSizesTests.Layout] = [.keras2, .keras3, .archive]

  private static func checkpoint(_ layout: KerasSizesTests.Layout) throws -> Checkpoint {
    let form = KerasForm(version: layout == .keras2 ? .two : .three)
    let inner = form.model("inner", sequential: [form.input("entry", [5, 5, 8]), form.conv(2, "deep", 8, [3, 3])])
    let file = form.file(
      form.model(
        "outer",
        sequential: [
          form.input("image", [5, 5, 4]), form.conv(2, "first", 8, [3, 3], ["activation": "relu"]), inner,
          form.layer("Flatten", "flat"), form.dense("classes", 6, "softmax"),
        ]),
      [
        form.group("image"), form.group("first", [3, 3, 4, 8]),
        form.group("inner", [("deep/kernel", [3, 3, 8, 8]), ("deep/bias", [8])]), form.group("flat"),
        form.group("classes", [200, 6]),
      ])
    return try KerasSizesTests.checkpoint(file, layout)
  }

  @Test(arguments: layouts, BitWidth.allCases)
  func numbersAreThoseThatWereRounded(layout: KerasSizesTests.Layout, width: BitWidth) throws {
    let checkpoint = try Self.checkpoint(layout)
    let graph = try #require(checkpoint.kerasGraph)
    for factored in 0..<3 {
      let replacements = try graph.layers.enumerated().map { index, layer in
        let dense = try graph.denseReplacement(of: layer)
        guard index == factored else { return dense.rounded(to: width) }
        return try #require(graph.replacements(of: layer, [Structures.named("svd")], limit: 1).first).rounded(to: width)
      }
      let path = layout == .archive ? "out.keras" : "out.h5"
      let read = try withTemporaryFolder { folder in
        try checkpoint.write(replacing: replacements, record: ["r": 1], to: folder + "/" + path, overwrite: false)
        return try Checkpoint.open(folder + "/" + path)
      }
      let layers = Dictionary(read.layers.map { ($0.name, $0) }) { first, _ in first }
      for (replacement, names) in zip(replacements, try checkpoint.partNames(replacing: replacements)) {
        #expect(names.count == replacement.rounded.count)
        for (name, weight) in zip(names, replacement.rounded) {
          let kernel = try read.kernel(of: #require(layers[name]))
          #expect(kernel.count == weight.integers.count)
          #expect(kernel.elements.sorted() == weight.values.elements.sorted())
          if replacement.isDense { #expect(kernel == weight.values) }
        }
      }
      let edited = try #require(read.kerasGraph)
      // What the network computes is what the rounded weights compute.
      let expected = try graph.outputs(
        replacing: replacements.map { Replacement(layer: $0.layer, stages: $0.stages, weights: $0.weights) })
      expectSame(try edited.outputs(), expected, "\(layout), \(width)")
    }
  }

  @Test func aNumberTakesItsBits() throws {
    let checkpoint = try Self.checkpoint(.keras2)
    let graph = try #require(checkpoint.kerasGraph)
    let layer = try #require(graph.layers.first { $0.name == "classes" })
    let sizes = try [BitWidth.two, .four, .six, .eight].map { width in
      try checkpoint.byteCount(
        replacing: [try graph.denseReplacement(of: layer).rounded(to: width)], record: ["r": 1])
    }
    // 1200 numbers, each 2 bits more than the last time; how the codes are stated differs by a byte or two.
    for (smaller, larger) in zip(sizes, sizes.dropFirst()) { #expect((296...300).contains(larger - smaller)) }
  }

  @Test func refusesWhatCannotBe() throws {
    let form = KerasForm(version: .two)
    let file = form.file(
      form.model("s", sequential: [form.input("image", [5, 5, 4]), form.conv(2, "conv", 8, [3, 3], ["groups": 2])]),
      [form.group("image"), form.group("conv", [3, 3, 2, 8])])
    let graph = try KerasGraph(file)
    let grouped = try #require(graph.layers.first)
    #expect(graph.storage(.four) == .levels(.four))
    #expect(graph.refusal(of: .levels(.four), for: grouped)?.contains("groups") == true)
    #expect(graph.refusal(of: .integers(.four), for: grouped) != nil)
    #expect(graph.refusal(of: .float, for: grouped) == nil)
    let double = Layer(
      name: "double", kind: .linear, kernel: TensorReference("k"), bias: nil, dtype: .f64,
      convolution: Convolution(kernelShape: [4, 4], window: .unit(0)))
    #expect(graph.refusal(of: .levels(.four), for: double)?.contains("single precision") == true)
  }
}

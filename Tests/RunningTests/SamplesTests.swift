import Basics
import Formats
import ModelGraph
import TensorCore
import TestSupport
import Testing

@testable import Running

@Suite struct SamplesTests {
  private func graph(_ shape: [Int?]) -> ModelGraph {
    ModelGraph(
      inputs: [.init(name: "image", shape: [nil] + shape)],
      nodes: [Node(name: "out", layer: "out", operation: .identity, inputs: ["image"])],
      outputs: [.init(name: "out", value: "out")])
  }

  private func counting(_ shape: [Int]) -> Tensor<Float> {
    Tensor(shape: shape, elements: (0..<shape.reduce(1, *)).map { Float($0) })
  }

  private func read(
    _ arrays: [String: Tensor<Float>], _ shape: [Int?], _ preparation: SamplePreparation = .init()
  ) throws -> Samples {
    try withTemporaryFolder { folder in
      let path = folder + "/data.npz"
      let stored = arrays.sorted { $0.key < $1.key }.map { StoredTensor(name: $0.key, $0.value, as: .f32) }
      try DataFile.writeNumPyArchive(stored, to: path, overwrite: false)
      return try Samples(file: path, for: graph(shape), preparation)
    }
  }

  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func transposesImagesWhenOneReadingFits() throws {
    let images = counting([2, 3, 4, 5])
    #expect(try read(["inputs": images], [3, 4, 5]).inputs["image"] == images)
    // To channels last, and from it.
    #expect(try read(["inputs": images], [4, 5, 3]).inputs["image"] == images.permuted([0, 2, 3, 1]))
    #expect(try read(["inputs": images], [5, 3, 4]).inputs["image"] == images.permuted([0, 3, 1, 2]))
    #expect(try read(["image": images], [nil, nil, 3]).inputs["image"] == images.permuted([0, 2, 3, 1]))
  }

  @Test func labelsAreAsManyAsSamples() throws {
    let arrays = ["inputs": counting([2, 3]), "labels": counting([3])]
    #expect(message { _ = try read(arrays, [3]) }.contains("has 3 entries"))
    #expect(try read(arrays, [3], SamplePreparation(maximumCount: 2)).labels == [0, 1])
  }

  /// An array in the input's own layout is read so, whatever else it might be.
  @Test func theInputsOwnLayoutComesFirst() throws {
    let images = counting([2, 3, 3, 3])
    #expect(try read(["inputs": images], [3, 3, 3]).inputs["image"] == images)
    let text = message { _ = try read(["inputs": counting([2, 5, 5, 3])], [nil, nil, 5]) }
    #expect(text.contains("[2, 5, 5, 3]"))
  }

  @Test func refusesImagesThatCanBeTransposedInTwoWays() {
    let text = message { _ = try read(["inputs": counting([2, 4, 4, 6])], [nil, nil, 4]) }
    #expect(text.contains("can be read in two ways"))
  }

  /// A state has its samples on its second axis, a rate has none, and the samples of all inputs are as many.
  @Test func samplesNeedNotComeFirst() throws {
    let graph = Self.recurrent
    let state = counting([2, 4, 3])
    let arrays = [
      StoredTensor(name: "x", counting([4, 3]), as: .f32), StoredTensor(name: "state", state, as: .f32),
      StoredTensor(name: "rate", Tensor<Float>(shape: [1], elements: [0.5]), as: .f32),
    ]
    let samples = try SampleArrays(arrays, for: graph, SamplePreparation(maximumCount: 3))
    #expect(samples.count == 3)
    let one = try samples.samples([2])
    #expect(one["x"] == counting([4, 3]).samples(2..<3) && one["rate"]?.shape == [])
    #expect(one["state"]?.shape == [2, 1, 3] && one["state"]?.elements == [6, 7, 8, 18, 19, 20])
    let short = [arrays[0], StoredTensor(name: "state", counting([2, 5, 3]), as: .f32), arrays[2]]
    #expect(message { _ = try SampleArrays(short, for: graph, .init()) }.contains("has 5 samples"))
  }

  @Test func randomSamplesFitEveryInput() throws {
    let samples = try Samples(seed: 1, count: 5, for: Self.recurrent)
    #expect(samples.inputs.mapValues(\.shape) == ["x": [5, 3], "state": [2, 5, 3], "rate": []])
    #expect(samples.inputs(of: 1..<3).mapValues(\.shape) == ["x": [2, 3], "state": [2, 2, 3], "rate": []])
    #expect(samples.last(2).inputs["state"] == samples.inputs["state"]?.samples(3..<5, axis: 1))
  }

  /// A part of the samples is drawn without the others, and is the same part.
  @Test(arguments: [0..<5, 0..<1, 1..<4, 4..<5, 2..<2])
  func randomSamplesAreDrawnInParts(_ range: Range<Int>) throws {
    let samples = try Samples(seed: 7, count: 5, for: Self.recurrent)
    let (all, part) = (samples.inputs, samples.inputs(of: range))
    #expect(part["x"] == all["x"]?.samples(range) && part["state"] == all["state"]?.samples(range, axis: 1))
    #expect(part["rate"] == all["rate"])
    let axes = try #require(samples.axes)
    let picked = samples.inputs(picking: [4, 1], axes)
    #expect(picked["x"] == all["x"]?.picked([4, 1]) && picked["state"] == all["state"]?.picked([4, 1], axis: 1))
    #expect(picked["rate"] == all["rate"])
  }

  /// A network whose only output is one number runs as a whole.
  @Test func aScalarOutputIsOneRun() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 3])],
      nodes: [
        Node(
          name: "mean", layer: "mean",
          operation: .array(.reduce(.mean, keepsAxes: false, ignoresMissingAxes: false)), inputs: ["x"])
      ], outputs: [.init(name: "mean", value: "mean")])
    let samples = try Samples(seed: 1, count: 5, for: graph)
    #expect(samples.axes == nil && samples.inputs["x"]?.shape == [5, 3])
    #expect(samples.inputs(of: 0..<5)["x"] == samples.inputs["x"])
    let outputs = [Tensor<Float>(shape: [], elements: [2])]
    let comparison = OutputComparison(name: "mean", outputs[0], reference: outputs[0])
    #expect(comparison.relativeDiscrepancy == 0 && comparison.topOneAgreement == nil)
  }

  /// (x + state[0]) * rate, and the state again.
  private static let recurrent = ModelGraph(
    inputs: [
      .init(name: "x", shape: [nil, 3]), .init(name: "state", shape: [2, nil, 3]), .init(name: "rate", shape: []),
    ],
    nodes: [
      Node(
        name: "first", layer: "first", operation: .array(.constant(Literal(scalar: 0))), inputs: []),
      Node(name: "hidden", layer: "hidden", operation: .array(.gather(axis: 0)), inputs: ["state", "first"]),
      Node(name: "sum", layer: "sum", operation: .array(.elementwise(.add)), inputs: ["x", "hidden"]),
      Node(name: "y", layer: "y", operation: .array(.elementwise(.multiply)), inputs: ["sum", "rate"]),
      Node(name: "next", layer: "next", operation: .array(.function(.negate)), inputs: ["state"]),
    ], outputs: [.init(name: "y", value: "y"), .init(name: "next", value: "next")])

  @Test func namesBothShapesWhereNothingFits() {
    let text = message { _ = try read(["inputs": counting([2, 7, 8, 9])], [3, 4, 5]) }
    #expect(text.contains("[2, 7, 8, 9]") && text.contains("[?, 3, 4, 5]"))
    #expect(message { _ = try read(["x": counting([2, 3])], [3]) }.contains("'x'"))
  }

  @Test func addsAMissingAxis() throws {
    let images = counting([2, 4, 5])
    #expect(try read(["inputs": images], [4, 5, 1]).inputs["image"] == images.reshaped([2, 4, 5, 1]))
  }

  @Test func preparesByChannel() throws {
    let images = counting([2, 4, 5, 3])
    let preparation = SamplePreparation(
      scale: 0.5, mean: [1, 2, 3], standardDeviation: [2, 4, 8], maximumCount: 1)
    let prepared = try #require(try read(["inputs": images], [4, 5, 3], preparation).inputs["image"])
    #expect(prepared.shape == [1, 4, 5, 3])
    for (i, value) in prepared.elements.enumerated() {
      let channel = i % 3
      let expected = (0.5 * Float(i) - [1, 2, 3][channel]) / [2, 4, 8][channel]
      #expect(value == expected)
    }
    let wrong = SamplePreparation(mean: [1, 2])
    #expect(message { _ = try read(["inputs": images], [4, 5, 3], wrong) }.contains("--input-mean"))
  }

  @Test func readsWhatThereIsToCompareWith() throws {
    let samples = try read(
      ["inputs": counting([3, 2]), "outputs": counting([3, 2]), "labels": Tensor(shape: [3], elements: [0, 1, 1])], [2])
    #expect(samples.count == 3 && samples.outputs?.count == 1 && samples.labels == [0, 1, 1])
    let halves = Tensor<Float>(shape: [3], elements: [0, 0.5, 1])
    #expect(message { _ = try read(["inputs": counting([3, 2]), "labels": halves], [2]) }.contains("0.5"))
    #expect(
      message { _ = try read(["inputs": counting([3, 2]), "outputs": counting([2, 2])], [2]) }.contains("2 samples"))
  }

  @Test func randomSamplesDependOnTheSeedAlone() throws {
    let graph = graph([4, 4, 1])
    let first = try Samples(seed: 3, count: 5, for: graph).inputs["image"]
    #expect(first == (try Samples(seed: 3, count: 5, for: graph).inputs["image"]))
    #expect(first != (try Samples(seed: 4, count: 5, for: graph).inputs["image"]))
    #expect(first?.elements.allSatisfy { (0..<1).contains($0) } == true)
    #expect(throws: Failure.self) { try Samples(seed: 0, count: 1, for: self.graph([nil, 3])) }
  }
}

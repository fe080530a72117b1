import Basics
import Checkpoints
import ModelGraph
import TensorCore
import Testing

@Suite struct RecordTests {
  private static let convolution = Convolution(
    kernelShape: [8, 4, 3, 3], window: Window(stride: [2, 2], dilation: [1, 1], padding: .same))

  private static func layer(
    _ name: String, _ structure: String, _ stages: [Stage], _ storage: WeightStorage = .float, parts: [String]
  ) -> Record.LayerRecord {
    Record.LayerRecord(
      name: name, convolution: convolution, structure: structure, stages: stages, storage: storage, parts: parts,
      promised: 0.25)
  }

  private static let stages: [Stage] = [
    .convolution(Convolution(kernelShape: [2, 4, 3, 1], window: .unit(2))), .permutation(axes: [2, 1], order: [1, 0]),
    .convolution(Convolution(kernelShape: [8, 2, 1, 3], window: .unit(2))), .bias(channels: 8),
  ]

  private static let record = Record(
    originalPath: "model.h5", originalSHA256: "00", originalArchitecture: "model.json",
    layers: [
      layer("kept", "dense", [.convolution(convolution)], .integers(.three), parts: ["kept"]),
      layer(
        "kept.bias", "dense", [.convolution(convolution), .bias(channels: 8)], .integers(.eight), parts: ["kept.bias"]),
      layer("moved", "dense", [.convolution(convolution)], .integers(.two), parts: ["kernel/of/it"]),
      layer("a.b", "svd", stages, parts: ["a.b.0", "a.b.2"]),
      layer("c", "svd", stages, .integers(.five), parts: ["c_1", "d"]),
      layer("e", "svd", stages, parts: ["e_1", "e"]),
    ],
    network: .init(samples: 16, seed: .max, relativeDiscrepancy: 0.5), sampleDiscrepancy: 0.125)

  @Test func everyRecordComesBack() throws {
    let text = Self.record.json.text()
    #expect(try Record(JSON(parsing: text.utf8)) == Self.record)
  }

  /// Files of version 1 state what is usual, too.
  @Test func recordsThatStateEverythingAreRead() throws {
    let text = #"""
      {"schema":"kcompress.record/1","original":{"path":"m.h5","sha256":"00"},"layers":[{"name":"c","dense":[
      {"stage":"convolution","kernel":[8,4,3,3],"groups":1,"batch":1,"stride":[2,2],"dilation":[1,1],"padding":"same"}],
      "structure":"dense","stages":[{"stage":"convolution","kernel":[8,4,3,3],"groups":1,"batch":1,"stride":[2,2],
      "dilation":[1,1],"padding":"same"}],"parts":["c"],"promised":2.5e-01,"bits":3}],"network":null}
      """#
    #expect(
      try Record(JSON(parsing: text.utf8)).layers == [
        Self.layer("c", "dense", [.convolution(Self.convolution)], .integers(.three), parts: ["c"])
      ])
  }

  @Test(arguments: [
    (#""schema":"kcompress.record/2""#, #""schema":"kcompress.record/3""#), (#""bits":3"#, #""bits":9"#),
    (#""promised":2.500000e-01"#, #""promised":"much""#), (#""structure":"svd""#, #""structure":5"#),
    (#""parts":["c_1","d"]"#, #""parts":[0,2]"#), ("2,4,3,1", "2,-4,3,1"), ("2,4,3,1", "2,4,x"),
    (#""suffixes":["_1",""]"#, #""suffixes":7"#),
    (#""sha256":"00""#, #""sha256":0"#),
  ])
  func damagedRecordsAreRefused(_ part: String, _ other: String) throws {
    let text = Self.record.json.text()
    try #require(text.contains(part))
    let json = try JSON(parsing: text.replacing(part, with: other, maxReplacements: 1).utf8)
    #expect(throws: Failure.self) { _ = try Record(json) }
  }

  /// What follows from the rest takes no bytes.
  @Test func whatIsUsualIsNotStated() {
    let text = Self.record.json.text()
    #expect(text.contains(#"{"name":"kept","dense":"8,4,3,3 s2,2 same","promised":2.500000e-01,"bits":3}"#))
    #expect(
      text.contains(
        #"{"name":"a.b","dense":"8,4,3,3 s2,2 same","structure":"svd","stages":"2,4,3,1;2,1>1,0;8,2,1,3;+8","promised":2.500000e-01}"#
      ))
  }
}

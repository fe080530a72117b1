import Basics
import ModelGraph
import Testing

@testable import Checkpoints

@Suite struct StageJSONTests {
  @Test func everyStageComesBack() throws {
    let paddings: [Padding] = [
      .valid, .same, .sameLower, .causal, .explicit(before: [1, 0], after: [2, 0]),
    ]
    for padding in paddings {
      let window = Window(stride: [2, 1], dilation: [1, 3], padding: padding)
      let stages: [Stage] = [
        .convolution(Convolution(kernelShape: [6, 2, 3, 3], groups: 3, batch: 2, window: window)),
        .permutation(axes: [2, 6], order: [1, 0]),
        .convolution(Convolution(kernelShape: [5, 12, 1, 1], window: .unit(2))),
        .bias(channels: 5),
      ]
      let text = JSON(stages: stages).text()
      #expect(try [Stage](parsing: JSON(parsing: text.utf8)) == stages)
      let short = StageText.text(of: stages)
      #expect(try [Stage](parsing: StageText.json(short)) == stages, "\(short)")
      #expect(short.utf8.count < text.utf8.count / 3)
    }
    let transposed = Convolution(
      kernelShape: [6, 2, 3, 3], window: .unit(2), transposition: .init(outputPadding: [0, 1]))
    for stages: [Stage] in [[.convolution(transposed)], [.convolution(transposed), .bias(channels: 6)]] {
      #expect(try [Stage](parsing: StageText.json(StageText.text(of: stages))) == stages)
    }
    let linear: [Stage] = [.convolution(Convolution(kernelShape: [3, 4], window: .unit(0)))]
    #expect(try [Stage](parsing: JSON(stages: linear)) == linear)
    #expect(StageText.text(of: linear) == "3,4")
    #expect(try [Stage](parsing: StageText.json("3,4")) == linear)
  }

  @Test(arguments: [
    "", ";", "4", "4,x,1,1", "4,2,1,1 g", "4,2,1,1 g3", "4,2,1,1 s1", "4,2,1,1 q1", "4,2,1,1 p1",
    "4,2,1,1 p1,1:1,1:1,1",
    "4,2,1,1 p0,-1", "4,2,1,1 full", "2,2>0,0", "2,2>0", ">", "+", "+5;+5", "4,2,1,1;+5", "4,2,1,1 ",
    "99999999999999999999,1",
  ])
  func damagedTextIsRefused(_ text: String) {
    #expect(throws: Failure.self) { _ = try [Stage](parsing: StageText.json(text)) }
  }

  private static func convolution(
    kernel: String = "[4,2,1,1]", groups: String = "1", batch: String = "1",
    stride: String = "[1,1]", dilation: String = "[1,1]", padding: String = "\"same\""
  ) -> String {
    #"{"stage":"convolution","kernel":\#(kernel),"groups":\#(groups),"batch":\#(batch),"#
      + #""stride":\#(stride),"dilation":\#(dilation),"padding":\#(padding)}"#
  }

  @Test(arguments: [
    ("{}", "no array"), ("[]", "at least one stage"), ("[1]", "its kind is missing"),
    (#"[{"stage":"pool"}]"#, "its kind is 'pool'"),
    ("[\(convolution(kernel: "[4]"))]", "fewer than 2 modes"),
    ("[\(convolution(kernel: "[4,0,1,1]"))]", "'kernel' is no array"),
    ("[\(convolution(kernel: "[65536,65536,1,1]"))]", "too large"),
    ("[\(convolution(kernel: "[4,2.5,1,1]"))]", "'kernel' is no array"),
    ("[\(convolution(groups: "3"))]", "3 groups do not divide its 4"),
    ("[\(convolution(groups: "0"))]", "'groups' is no whole number"),
    ("[\(convolution(batch: "2147483647"))]", "channels are more than"),
    ("[\(convolution(batch: "-1"))]", "'batch' is no whole number"),
    ("[\(convolution(stride: "[1]"))]", "need 2 numbers each"),
    ("[\(convolution(dilation: "[1,0]"))]", "'dilation' is no array"),
    ("[\(convolution(padding: "\"full\""))]", "its padding is unknown"),
    ("[\(convolution(padding: #"{"before":[0],"after":[0,0]}"#))]", "2 numbers before and after"),
    (
      "[\(convolution(padding: #"{"before":[0,-1],"after":[0,0]}"#))]", "2 numbers before and after"
    ),
    (#"[{"stage":"permutation","axes":[2,2],"order":[0,0]}]"#, "no permutation"),
    (#"[{"stage":"permutation","axes":[2,2],"order":[0]}]"#, "no permutation"),
    (#"[{"stage":"bias","channels":1e99}]"#, "'channels' is no whole number"),
    (
      #"[\#(convolution()),{"stage":"bias","channels":5}]"#,
      "takes 5 channels, and the stage before it gives 4"
    ),
    (#"[{"stage":"bias","channels":5},{"stage":"bias","channels":5}]"#, "the bias 2 times"),
  ])
  func refuses(_ text: String, _ expected: String) throws {
    let json = try JSON(parsing: text.utf8)
    let failure = message { _ = try [Stage](parsing: json) }
    #expect(failure.contains(expected), "\(text): \(failure)")
  }
}

import Testing

@testable import Basics

@Suite struct JSONTests {
  @Test func keepsOrderAndNumbers() throws {
    let text = #"{"b":1e-3,"a":[0.0010000000474974513,NaN,true,null],"c":{"é\"\\":"\u0001"}}"#
    #expect(try JSON(parsing: Array(text.utf8)).text() == text)
  }

  @Test(arguments: [
    ("", "ends early"), ("{\"a\":1,\"a\":2}", "occurs twice"), ("[1] x", "follows the end"),
    ("\"\\ud800\"", "surrogate"), ("[1,]", "expected"), ("{\"a\" 1}", "colon"), ("nan", "expected"),
    (String(repeating: "[", count: 300), "too deeply"), ("0x10", "expected"),
  ])
  func refuses(_ text: String, _ reason: String) {
    #expect { try JSON(parsing: Array(text.utf8)) } throws: {
      ($0 as? Failure)?.reason.contains(reason) == true
    }
  }

  @Test func readsSurrogatePairs() throws {
    #expect(try JSON(parsing: Array(#""\ud83d\ude00""#.utf8)) == "😀")
    #expect(JSON.string("😀\u{1}").text() == #""😀\u0001""#)
  }
}

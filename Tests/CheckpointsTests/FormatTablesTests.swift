import Foundation
import TestSupport
import Testing

@testable import KerasLayers
@testable import ONNX

/// The tables of docs/formats.md name every layer and every operator that the program knows, and none else.
@Suite struct FormatTablesTests {
  /// The names in code of a table's first column, by what its second column says.
  private static func rows(under heading: String) throws -> [(names: Set<String>, outcome: String)] {
    let text = try String(contentsOf: TestPath.root.appendingPathComponent("docs/formats.md"), encoding: .utf8)
    let section = text.components(separatedBy: "\n### \(heading)\n").dropFirst().first ?? ""
    let lines = section.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.hasPrefix("#") }
    return lines.filter { $0.hasPrefix("| `") }.map { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let names = cells[0].split(separator: "`").enumerated().filter { $0.offset % 2 == 0 }.map { String($0.element) }
      return (Set(names), cells[1])
    }
  }

  /// - Parameter refused: The names that the program knows and refuses.
  private static func check(_ heading: String, _ known: Set<String>, refused: Set<String> = []) throws {
    let rows = try rows(under: heading)
    #expect(rows.reduce(0) { $0 + $1.names.count } == rows.reduce(into: Set()) { $0.formUnion($1.names) }.count)
    func named(_ isMeant: (String) -> Bool) -> Set<String> {
      rows.filter { isMeant($0.outcome) }.reduce(into: []) { $0.formUnion($1.names) }
    }
    let run = named { !$0.hasPrefix("refused") && !$0.hasPrefix("not known") }
    #expect(run.symmetricDifference(known.subtracting(refused)) == [])
    #expect(refused.subtracting(named { $0.hasPrefix("refused") }) == [])
    #expect(named { !$0.isEmpty }.subtracting(run).intersection(known.subtracting(refused)) == [])
  }

  @Test func kerasLayers() throws { try Self.check("Keras layers", Set(KerasLayerType.all.keys)) }

  @Test func kerasOperators() throws { try Self.check("Keras operators", Set(KerasOperators.all.keys)) }

  @Test func onnxOperators() throws {
    try Self.check(
      "ONNX operators", Set(ONNXOperators.all.keys).union(["Constant"]), refused: Set(ONNXOperators.refusals.keys))
  }

  @Test func microsoftOperators() throws {
    try Self.check("com.microsoft", Set(ONNXOperators.microsoft.keys).union(["FusedConv", "FusedGemm"]))
  }
}

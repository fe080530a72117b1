import Decompositions
import Foundation
import ModelGraph
import TensorCore
import TestSupport
import Testing

/// The library as another package sees it: nothing here is imported for testing.
@Suite struct LibraryExampleTests {
  @Test func exampleFindsAKroneckerProduct() throws {
    let shape = [16, 8, 3, 3]
    let pattern = FactorPattern(shapes: [[4, 2, 3, 1], [4, 4, 1, 3]], ranks: [1], rankAxes: [[0], [0]])
    let kernel = gaussianFactors(pattern, seed: 4).reconstruct()
    try withTemporaryFolder { folder in
      let file = URL(fileURLWithPath: folder).appendingPathComponent("kernel.f32")
      try Data(StoredTensor(name: "kernel", kernel, as: .f32).bytes).write(to: file)
      let whole = try #require(try fitSeKron(to: file, shape: shape, parameters: 400))
      let small = try #require(try fitSeKron(to: file, shape: shape, parameters: 40))
      // Single precision is what is left of a kernel that is exactly a SeKron.
      #expect(whole < 1e-3)
      #expect(small > whole && small < 1)
    }
  }

  @Test func documentationShowsTheExample() throws {
    func text(_ path: String) throws -> String {
      try String(contentsOf: TestPath.root.appendingPathComponent(path), encoding: .utf8)
    }
    let example = try text("Tests/DecompositionsTests/LibraryExample.swift")
      .split(separator: "// The code of docs/library.md begins here.\n", omittingEmptySubsequences: false)
      .last.map {
        $0.split(separator: "// The code of docs/library.md ends here.", omittingEmptySubsequences: false)[0]
      }
    let shown = try text("docs/library.md").split(separator: "```swift\n", omittingEmptySubsequences: false)
    #expect(shown.count == 2)
    let code = shown.last.map { $0.split(separator: "```", omittingEmptySubsequences: false)[0] }
    #expect(try #require(code) == #require(example))
    #expect(try #require(code).split(separator: "\n", omittingEmptySubsequences: false).count <= 26)
  }
}

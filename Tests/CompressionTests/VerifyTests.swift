import Basics
import Formats
import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Compression

@Suite struct VerifyTests {
  @Test func refusesLabelsThatAreNoClasses() throws {
    try withTemporaryFolder { folder in
      let reference = try DataFile.read(TestPath.fixture("digits.reference.npz"))
      let inputs = try #require(reference.first { $0.name == "inputs" })
      let labels = Tensor<Float>(
        shape: [inputs.shape[0]], elements: (0..<inputs.shape[0]).map { Float($0 == 2 ? 10 : 0) })
      let path = folder + "/labels.npz"
      try DataFile.writeNumPyArchive(
        [inputs, StoredTensor(name: "labels", labels, as: .f32)], to: path, overwrite: false)
      let failure = #expect(throws: Failure.self) {
        try VerifyRequest(checkpoint: TestPath.fixture("digits.h5"), reference: path).run(threads: 1)
      }
      #expect(failure.map { "\($0)".contains("holds 10") } ?? false)
    }
  }
}

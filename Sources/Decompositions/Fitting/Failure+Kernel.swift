import Basics

extension Failure {
  static let kernelNotFinite = Failure(
    "kernel", "cannot be decomposed", "it holds NaN or infinity", remedy: "expected finite weights")
}

import Basics
import COpenBLAS
import TensorCore

/// What every LAPACK call needs: 32-bit extents, finite input, and an info that says yes.
enum LAPACK {
  /// LAPACK's integers have 32 bits.
  static func extent(_ value: Int) throws -> Int32 {
    guard let extent = Int32(exactly: value) else {
      throw Failure(
        "matrix", "is too large for LAPACK", "an extent is \(value)",
        remedy: "expected at most \(Int32.max)")
    }
    return extent
  }

  /// Refuses NaN and infinity: dgesdd answers an infinite matrix with info 0 and singular values that are NaN.
  static func requireFinite(_ matrix: Tensor<Double>) throws {
    guard matrix.isFinite else {
      throw Failure(
        "matrix", "cannot be decomposed", "it holds NaN or infinity",
        remedy: "expected finite elements")
    }
  }

  static func check(_ routine: String, _ info: Int32) throws {
    guard info == 0 else {
      throw Failure(
        "matrix", "cannot be decomposed",
        info < 0 ? "argument \(-info) of \(routine) is invalid" : "\(routine) did not converge, info \(info)")
    }
  }

  /// The workspace that a query returned: a floating-point number, so it is rounded up.
  static func workspace(_ size: Double) throws -> Int {
    guard size >= 0, size < 0x1p31 else {
      throw Failure("matrix", "is too large for LAPACK", "its workspace has \(size) elements")
    }
    return max(1, Int(size.nextUp.rounded(.up)))
  }
}

import Foundation
import LinearAlgebra

/// Makes OpenBLAS use the processor's widest vectors. Versions that do not know a processor fall back to older kernels, at half the
/// speed; the choice is read from the environment when the library loads, so the program starts itself once more.
enum CoreType {
  private static let variable = "OPENBLAS_CORETYPE"

  static func chooseBest() {
    guard ProcessInfo.processInfo.environment[variable] == nil, let type = BLAS.betterCoreType() else { return }
    unsafe setenv(variable, type, 1)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
    // Returns only if it fails; then the program goes on with the slower kernels.
    _ = unsafe execv("/proc/self/exe", &arguments)
  }
}

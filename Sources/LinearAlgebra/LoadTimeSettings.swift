import Foundation

/// Settings that libraries read from the environment when they are loaded: the program puts in what is missing and starts
/// itself once more. What the user has set stays.
public enum LoadTimeSettings {
  private static var wanted: [String: String] {
    // Freed memory is kept for the next allocation. A network's activations come and go with every layer; by default the C
    // library fetches each from the system page by page and gives it back, a third of the engine's time. 32 MiB is the
    // largest block that it keeps, and one of the two alone has no effect. Keeping more than 64 MiB makes nothing faster, and
    // a sweep of large kernels would hold a gigabyte that it does not use.
    var settings = ["MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"]
    // The processor's widest vectors: OpenBLAS falls back to older kernels, at half the speed, on what it does not know.
    settings["OPENBLAS_CORETYPE"] = BLAS.betterCoreType()
    return settings
  }

  /// Returns once all settings are in the environment that the process was started with.
  ///
  /// - Parameter sharesFreedMemory: whether all threads share what the C library keeps of freed memory. Each would have a store of its own, and
  ///   training, whose slices run now on one and now on another, would hold the activations of as many slices as there were ever threads.
  public static func apply(sharesFreedMemory: Bool = false) {
    let environment = ProcessInfo.processInfo.environment
    var wanted = wanted
    if sharesFreedMemory {
      wanted["MALLOC_ARENA_MAX"] = "1"
      wanted["MALLOC_TRIM_THRESHOLD_"] = "268435456"
    }
    let missing = wanted.filter { environment[$0.key] == nil }
    guard !missing.isEmpty else { return }
    for (name, value) in missing { unsafe setenv(name, value, 1) }
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
    // Returns only if it fails; then the program goes on, slower.
    _ = unsafe execv("/proc/self/exe", &arguments)
  }
}

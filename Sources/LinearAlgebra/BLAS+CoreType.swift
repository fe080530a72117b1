import Foundation

extension BLAS {
  /// The OPENBLAS_CORETYPE that would make this CPU faster, or nil where OpenBLAS chose well.
  ///
  /// OpenBLAS 0.3.21 takes CPUs newer than itself for Haswell or Zen and leaves AVX-512 unused, which halves its speed. The
  /// variable is read when the library loads: the program sets it and executes itself again.
  public static func betterCoreType() -> String? {
    guard let info = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return nil }
    return betterCoreType(than: coreName, cpuInfo: info)
  }

  /// The decision itself, on the text of /proc/cpuinfo.
  static func betterCoreType(than core: String, cpuInfo: String) -> String? {
    guard ["haswell", "zen"].contains(core.lowercased()) else { return nil }
    let flags = cpuInfo.split(separator: "\n").first { $0.hasPrefix("flags") }?
      .split(whereSeparator: { " \t:".contains($0) })
    let present = Set((flags ?? []).map(String.init))
    // What OpenBLAS's SkylakeX kernels are compiled for.
    return ["avx512f", "avx512bw", "avx512vl", "avx512dq"].allSatisfy(present.contains) ? "SkylakeX" : nil
  }
}

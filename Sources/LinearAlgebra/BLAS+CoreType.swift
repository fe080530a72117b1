import Foundation

extension BLAS {
  /// The OPENBLAS_CORETYPE that would make this CPU faster, or nil where OpenBLAS chose well.
  ///
  /// OpenBLAS 0.3.21 takes CPUs newer than itself for Haswell or Zen and leaves AVX-512 unused, which halves its speed, or for Prescott and uses
  /// no AVX at all, which divides it by four. The variable is read when the library loads: the program sets it and executes itself again.
  public static func betterCoreType() -> String? {
    guard let info = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return nil }
    return betterCoreType(than: coreName, cpuInfo: info)
  }

  /// The decision itself, on the text of /proc/cpuinfo.
  static func betterCoreType(than core: String, cpuInfo: String) -> String? {
    let flags = cpuInfo.split(separator: "\n").first { $0.hasPrefix("flags") }?
      .split(whereSeparator: { " \t:".contains($0) })
    let present = Set((flags ?? []).map(String.init))
    // From the fastest kernels down: what each is compiled for, and which it is better than.
    let cores = [
      (
        name: "SkylakeX", needs: ["avx512f", "avx512bw", "avx512vl", "avx512dq"],
        slower: ["haswell", "zen", "prescott"]
      ),
      (name: "Haswell", needs: ["avx2", "fma"], slower: ["prescott"]),
    ]
    return cores.first { $0.needs.allSatisfy(present.contains) && $0.slower.contains(core.lowercased()) }?.name
  }
}

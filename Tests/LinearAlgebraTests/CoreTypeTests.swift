import Testing

@testable import LinearAlgebra

@Suite struct CoreTypeTests {
  private static let wide = "flags\t\t: fpu sse2 avx fma avx2 avx512f avx512dq avx512bw avx512vl\n"
  private static let narrow = "flags\t\t: fpu sse2 avx fma avx2\n"

  /// The library's own choice on a processor that it does not know is Prescott, or Haswell where it knows the vendor's family.
  @Test(arguments: [
    ("Prescott", wide, "SkylakeX"), ("Prescott", narrow, "Haswell"), ("Haswell", wide, "SkylakeX"),
    ("Zen", wide, "SkylakeX"),
  ])
  func unknownProcessorsGetWiderKernels(_ core: String, _ flags: String, _ better: String) {
    #expect(BLAS.betterCoreType(than: core, cpuInfo: "model name : x\n" + flags) == better)
  }

  @Test(arguments: [
    ("SkylakeX", wide), ("Haswell", narrow), ("Zen", narrow), ("Prescott", "flags : fpu sse2\n"), ("Prescott", ""),
    ("neoversen1", ""),
    ("Sandybridge", narrow),
  ])
  func whatIsChosenWellStays(_ core: String, _ flags: String) {
    #expect(BLAS.betterCoreType(than: core, cpuInfo: flags) == nil)
  }
}

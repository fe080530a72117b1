import COpenBLAS
import TensorCore

/// The scalar types that OpenBLAS multiplies.
public protocol BLASScalar: TensorScalar {
  /// The routine behind `BLAS.gemm`; the caller has checked every bound.
  @unsafe static func gemm(
    _ transposeA: CBLAS_TRANSPOSE, _ transposeB: CBLAS_TRANSPOSE, _ m: Int32, _ n: Int32, _ k: Int32,
    _ alpha: Self, _ a: UnsafePointer<Self>, _ lda: Int32, _ b: UnsafePointer<Self>, _ ldb: Int32,
    _ beta: Self, _ c: UnsafeMutablePointer<Self>, _ ldc: Int32)

  /// The routine behind `Tensor.gram`: adds the upper triangle of op(a) op(a)^T to c, with n rows in op(a) and k columns.
  @unsafe static func syrk(
    _ transpose: CBLAS_TRANSPOSE, _ n: Int32, _ k: Int32, _ a: UnsafePointer<Self>, _ lda: Int32,
    _ c: UnsafeMutablePointer<Self>)
}

extension Float: BLASScalar {
  @unsafe public static func gemm(
    _ transposeA: CBLAS_TRANSPOSE, _ transposeB: CBLAS_TRANSPOSE, _ m: Int32, _ n: Int32, _ k: Int32,
    _ alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int32, _ b: UnsafePointer<Float>, _ ldb: Int32,
    _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
  ) {
    unsafe cblas_sgemm(
      CblasRowMajor, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
  }

  @unsafe public static func syrk(
    _ transpose: CBLAS_TRANSPOSE, _ n: Int32, _ k: Int32, _ a: UnsafePointer<Float>, _ lda: Int32,
    _ c: UnsafeMutablePointer<Float>
  ) {
    unsafe cblas_ssyrk(CblasRowMajor, CblasUpper, transpose, n, k, 1, a, lda, 1, c, n)
  }
}

extension Double: BLASScalar {
  @unsafe public static func gemm(
    _ transposeA: CBLAS_TRANSPOSE, _ transposeB: CBLAS_TRANSPOSE, _ m: Int32, _ n: Int32, _ k: Int32,
    _ alpha: Double, _ a: UnsafePointer<Double>, _ lda: Int32, _ b: UnsafePointer<Double>,
    _ ldb: Int32, _ beta: Double, _ c: UnsafeMutablePointer<Double>, _ ldc: Int32
  ) {
    unsafe cblas_dgemm(
      CblasRowMajor, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
  }

  @unsafe public static func syrk(
    _ transpose: CBLAS_TRANSPOSE, _ n: Int32, _ k: Int32, _ a: UnsafePointer<Double>, _ lda: Int32,
    _ c: UnsafeMutablePointer<Double>
  ) {
    unsafe cblas_dsyrk(CblasRowMajor, CblasUpper, transpose, n, k, 1, a, lda, 1, c, n)
  }
}

/// OpenBLAS behind bounds checks.
public enum BLAS {
  /// c (m x n) = alpha * op(a) * op(b) + beta * c, row-major; op(a) is m x k, op(b) k x n, and op transposes where it is told to.
  ///
  /// Every matrix begins at its offset and its rows lie a leading dimension apart. With `beta` 0, `c` may hold anything.
  ///
  /// - Precondition: the matrices lie within their storage.
  public static func gemm<Scalar: BLASScalar>(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int,
    alpha: Scalar = 1, a: Span<Scalar>, aOffset: Int = 0, lda: Int,
    b: Span<Scalar>, bOffset: Int = 0, ldb: Int,
    beta: Scalar = 0, c: inout MutableSpan<Scalar>, cOffset: Int = 0, ldc: Int
  ) {
    check("a", rows: transposeA ? k : m, columns: transposeA ? m : k, aOffset, lda, a.count)
    check("b", rows: transposeB ? n : k, columns: transposeB ? k : n, bOffset, ldb, b.count)
    check("c", rows: m, columns: n, cOffset, ldc, c.count)
    guard m > 0, n > 0 else { return }
    guard k > 0 else {
      for row in 0..<m {
        for column in 0..<n {
          let index = cOffset + row * ldc + column
          c[index] = beta == 0 ? 0 : beta * c[index]
        }
      }
      return
    }
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          unsafe Scalar.gemm(
            transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
            Int32(m), Int32(n), Int32(k), alpha, a + aOffset, Int32(lda), b + bOffset, Int32(ldb),
            beta, c + cOffset, Int32(ldc))
        }
      }
    }
  }

  /// The matrix product of the other `gemm`, on arrays.
  public static func gemm<Scalar: BLASScalar>(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int,
    alpha: Scalar = 1, a: [Scalar], aOffset: Int = 0, lda: Int,
    b: [Scalar], bOffset: Int = 0, ldb: Int,
    beta: Scalar = 0, c: inout [Scalar], cOffset: Int = 0, ldc: Int
  ) {
    var target = c.mutableSpan
    gemm(
      transposeA, transposeB, m: m, n: n, k: k, alpha: alpha, a: a.span, aOffset: aOffset, lda: lda,
      b: b.span, bOffset: bOffset, ldb: ldb, beta: beta, c: &target, cOffset: cOffset, ldc: ldc)
  }

  /// The CPU family whose kernels OpenBLAS chose; results differ between families in the last bits.
  public static var coreName: String {
    guard let name = unsafe openblas_get_corename() else { return "unknown" }
    return unsafe String(cString: name)
  }

  /// Lets single calls use several threads, for a program that makes one at a time. Results then differ in the last bits from
  /// those of one thread.
  public static func setThreadCount(_ count: Int) { openblas_set_num_threads(Int32(clamping: count)) }

  private static func check(
    _ name: StaticString, rows: Int, columns: Int, _ offset: Int, _ leading: Int, _ count: Int
  ) {
    precondition(rows >= 0 && columns >= 0 && offset >= 0, "\(name): negative extents")
    precondition(leading >= max(1, columns), "\(name): rows of \(columns) overlap")
    guard rows > 0, columns > 0 else { return }
    precondition(
      (rows - 1) * leading + columns <= count - offset,
      "\(name): \(rows) x \(columns) from \(offset) exceeds \(count) elements")
  }
}

import Basics
import LinearAlgebra
import TensorCore
import Testing

@Suite struct FactorizationTests {
  private static let shapes = [[1, 1], [1, 7], [9, 1], [5, 5], [40, 7], [7, 40], [64, 64]]

  private func gaussian(_ shape: [Int], _ seed: UInt64 = 1) -> Tensor<Double> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: shape, using: &generator)
  }

  private func product(_ a: Tensor<Double>, _ b: Tensor<Double>) -> Tensor<Double> {
    let (m, k, n) = (a.shape[0], a.shape[1], b.shape[1])
    var elements = [Double](repeating: 0, count: m * n)
    for i in 0..<m {
      for j in 0..<n {
        for l in 0..<k { elements[i * n + j] += a.elements[i * k + l] * b.elements[l * n + j] }
      }
    }
    return Tensor(shape: [m, n], elements: elements)
  }

  private func distanceFromIdentity(_ matrix: Tensor<Double>) -> Double {
    let n = matrix.shape[0]
    return (0..<n * n).reduce(0) { largest, position in
      let difference = abs(matrix.elements[position] - (position / n == position % n ? 1 : 0))
      return difference <= largest ? largest : difference
    }
  }

  @Test(arguments: shapes)
  func singularValuesRebuildTheMatrix(shape: [Int]) throws {
    let matrix = gaussian(shape)
    let svd = try SingularValueDecomposition(matrix)
    let tolerance = 20 * Double(max(shape[0], shape[1])) * .ulpOfOne
    #expect(svd.reconstructed().relativeDiscrepancy(from: matrix) <= tolerance)
    #expect(distanceFromIdentity(product(svd.u.permuted([1, 0]), svd.u)) <= tolerance)
    #expect(distanceFromIdentity(product(svd.vt, svd.vt.permuted([1, 0]))) <= tolerance)
    #expect(zip(svd.values, svd.values.dropFirst()).allSatisfy { $0 >= $1 } && svd.values.allSatisfy { $0 >= 0 })
    // Eckart and Young: what a rank leaves out is the tail of the singular values.
    let rank = svd.values.count / 2
    let tail = svd.values[rank...].reduce(0) { $0 + $1 * $1 }.squareRoot()
    let error = svd.reconstructed(rank: rank).relativeDiscrepancy(from: matrix) * matrix.norm
    #expect(abs(error - tail) <= tolerance * matrix.norm)
  }

  @Test func singularValuesOfNothing() throws {
    #expect(try SingularValueDecomposition(Tensor(zeros: [4, 3])).values == [0, 0, 0])
    var matrix = gaussian([3, 3])
    matrix.elements[4] = .nan
    #expect(throws: Failure.self) { try SingularValueDecomposition(matrix) }
    #expect(throws: Failure.self) { try SymmetricEigendecomposition(matrix) }
    #expect(throws: Failure.self) { try Cholesky(matrix) }
  }

  @Test(arguments: shapes)
  func gramMatricesAreProducts(shape: [Int]) {
    let matrix = gaussian(shape)
    let tolerance = 4 * Double(max(shape[0], shape[1])) * .ulpOfOne
    let transposed = matrix.permuted([1, 0])
    #expect(matrix.gram().relativeDiscrepancy(from: product(matrix, transposed)) <= tolerance)
    #expect(matrix.gram(ofColumns: true).relativeDiscrepancy(from: product(transposed, matrix)) <= tolerance)
  }

  /// What is summed up over parts is that of the whole, of wide and of tall matrices, whatever parts may begin at.
  @Test(arguments: [[3, 1_200_000], [1_200_000, 3]], [1, 1_000])
  func partsMakeUpAMatrix(shape: [Int], unit: Int) throws {
    let matrix = gaussian(shape)
    let isWide = shape[0] < shape[1]
    var ranges: [Range<Int>] = []
    let parted = PartedMatrix(rows: shape[0], columns: shape[1], unit: unit) { range in
      ranges.append(range)
      return matrix.samples(range, axis: isWide ? 1 : 0)
    }
    let gram = try parted.gram()
    #expect(ranges.count > 1 && ranges.allSatisfy { $0.lowerBound % unit == 0 && $0.upperBound % unit == 0 })
    #expect(
      ranges.flatMap { [$0.lowerBound, $0.upperBound] }.sorted() == [0]
        + ranges.dropFirst().flatMap { [$0.lowerBound, $0.lowerBound] } + [1_200_000])
    // A sum of 1.2 million products rounds each time at most.
    let tolerance = 1_200_000 * Double.ulpOfOne
    #expect(gram.relativeDiscrepancy(from: matrix.gram(ofColumns: !isWide)) <= tolerance)
    let vectors = try SymmetricEigendecomposition(gram).vectors
    let images = try parted.images(of: vectors)
    let whole =
      isWide
      ? matrix.times(vectors, transposed: true, otherTransposed: true) : matrix.times(vectors, otherTransposed: true)
    #expect(images.relativeDiscrepancy(from: whole) <= 10 * .ulpOfOne)
    // All vectors give the matrix back, and without the last one its singular value is what is missing.
    let factors = isWide ? (vectors.permuted([1, 0]), images) : (images, vectors.permuted([1, 0]))
    #expect(try parted.discrepancy(of: factors.0, factors.1) <= tolerance)
    let two = try parted.images(of: vectors.leadingRows(2))
    let leading = vectors.leadingRows(2).permuted([1, 0])
    let missing = try parted.discrepancy(of: isWide ? leading : two, isWide ? two : leading)
    let least = try SymmetricEigendecomposition(gram).values[2].squareRoot() / matrix.norm
    #expect(abs(missing - least) <= tolerance)
  }

  @Test(arguments: [1, 2, 17, 60])
  func eigenvectorsDiagonalise(count: Int) throws {
    let root = gaussian([count, count + 3])
    let matrix = product(root, root.permuted([1, 0]))
    let decomposition = try SymmetricEigendecomposition(matrix)
    let values = try SymmetricEigendecomposition.values(of: matrix)
    let vectors = decomposition.vectors
    let tolerance = 50 * Double(count + 3) * .ulpOfOne
    #expect(distanceFromIdentity(product(vectors, vectors.permuted([1, 0]))) <= tolerance)
    for (a, b) in zip(values, decomposition.values) { #expect(abs(a - b) <= tolerance * matrix.norm) }
    let trace = (0..<count).reduce(0) { $0 + matrix.elements[$1 * count + $1] }
    #expect(abs(values.reduce(0, +) - trace) <= tolerance * matrix.norm * Double(count))
    // The singular values of the root, squared.
    let squares = try SingularValueDecomposition(root).values.map { $0 * $0 }
    for (a, b) in zip(values.sorted(by: >), squares) { #expect(abs(a - b) <= tolerance * matrix.norm) }
  }

  @Test func choleskySolves() throws {
    let root = gaussian([12, 20])
    let matrix = product(root, root.permuted([1, 0]))
    let right = gaussian([5, 12], 2)
    let solution = try Cholesky(matrix).solve(rows: right)
    // The condition of a 12 x 20 Gram matrix is some hundreds.
    #expect(product(solution, matrix).relativeDiscrepancy(from: right) <= 1e-11)
    var shifted = matrix
    for i in 0..<12 { shifted.elements[i * 12 + i] += 0.5 }
    let ridged = try Cholesky(matrix, ridge: 0.5).solve(rows: right)
    #expect(product(ridged, shifted).relativeDiscrepancy(from: right) <= 1e-11)
  }

  @Test func choleskyRefusesIndefiniteMatrices() {
    #expect(throws: Failure.self) { try Cholesky(Tensor(shape: [2, 2], elements: [1, 2, 2, 1])) }
    #expect(throws: Failure.self) { try Cholesky(Tensor(zeros: [2, 2])) }
  }

  @Test func productsEqualTheDefinition() {
    for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 33, 9), (64, 1, 64), (2, 0, 3)] {
      let (a, b) = (gaussian([m, k]), gaussian([k, n], 2))
      let expected = product(a, b)
      for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
        let left = transposeA ? a.permuted([1, 0]) : a
        let right = transposeB ? b.permuted([1, 0]) : b
        var c = [Double](repeating: .nan, count: m * n)
        BLAS.gemm(
          transposeA, transposeB, m: m, n: n, k: k, a: left.elements, lda: max(1, left.shape[1]),
          b: right.elements, ldb: max(1, right.shape[1]), c: &c, ldc: n)
        let result = Tensor(shape: [m, n], elements: c)
        let difference = zip(result.elements, expected.elements).map { abs($0 - $1) }.max() ?? 0
        #expect(difference <= Double(k + 1) * 16 * .ulpOfOne)
      }
    }
  }

  @Test func productsAddToWhatIsThere() {
    var c: [Float] = [1, 2, 3, 4]
    BLAS.gemm(
      false, false, m: 2, n: 2, k: 1, alpha: 2, a: [1, 10], lda: 1, b: [3, 4], ldb: 2, beta: -1, c: &c, ldc: 2)
    #expect(c == [5, 6, 57, 76])
  }
}

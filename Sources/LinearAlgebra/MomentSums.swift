import TensorCore

/// Sums over observations of two vectors t and x, from which their moments follow: E[t] and E[t x^T]. With t = x the latter is the second
/// moment of x, else a cross moment.
///
/// Sums are kept in double precision. Parts that run side by side are added in a fixed order, so that the last bits do not
/// depend on the number of threads.
public struct MomentSums: Sendable {
  private let shape: [Int]
  /// The sums of the products t x^T: (rows x columns), row-major.
  public private(set) var products: [Double]
  /// The sums of the variables of t: (rows).
  public private(set) var sums: [Double]
  /// The observations so far.
  public private(set) var count = 0

  /// Sums without an observation.
  ///
  /// - Parameters:
  ///   - rows: The variables of t.
  ///   - columns: The variables of x.
  public init(rows: Int, columns: Int) {
    shape = [rows, columns]
    products = Array(repeating: 0, count: rows * columns)
    sums = Array(repeating: 0, count: rows)
  }

  /// Adds the products of some observations, whose sums are added by themselves.
  ///
  /// - Parameter products: (rows x columns), row-major.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public mutating func add<Scalar: TensorScalar>(products: [Scalar]) {
    precondition(products.count == self.products.count, "\(products.count) products do not fill \(shape)")
    for i in products.indices { self.products[i] += Double(products[i]) }
  }

  /// Adds the variables' sums over some observations.
  ///
  /// - Parameters:
  ///   - sums: (rows).
  ///   - count: the observations.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public mutating func add<Scalar: TensorScalar>(sums: [Scalar], count: Int) {
    precondition(sums.count == self.sums.count, "\(sums.count) sums for \(shape[0]) variables")
    for i in sums.indices { self.sums[i] += Double(sums[i]) }
    self.count += count
  }

  /// Adds what was added to another one of the same vectors.
  public mutating func add(_ other: MomentSums) {
    add(products: other.products)
    add(sums: other.sums, count: other.count)
  }

  /// E[t x^T]: (rows x columns); zero without observations.
  public var meanProducts: Tensor<Double> { Tensor(shape: shape, elements: mean(of: products)) }

  /// E[t]: (rows); zero without observations.
  public var mean: [Double] { mean(of: sums) }

  private func mean(of sums: [Double]) -> [Double] { sums.map { count > 0 ? $0 / Double(count) : 0 } }

  /// The moments of x where t is x.
  ///
  /// - Precondition: There are as many rows as columns.
  public var moments: Moments { Moments(mean: mean, second: meanProducts, count: count) }
}

/// E[x] and E[x x^T] of a vector x over some observations.
public struct Moments: Sendable, Equatable {
  /// The mean E[x].
  public let mean: [Double]
  /// E[x x^T]: (variables x variables).
  public let second: Tensor<Double>
  /// The count of observations.
  public let count: Int

  /// Moments that are known already.
  ///
  /// - Precondition: The second moment is square and has as many rows as the mean has variables.
  public init(mean: [Double], second: Tensor<Double>, count: Int) {
    precondition(second.shape == [mean.count, mean.count], "\(second.shape) is no moment of \(mean.count) variables")
    self.mean = mean
    self.second = second
    self.count = count
  }

  /// The moments over both sets of observations.
  ///
  /// - Precondition: The vectors are the same.
  public func joined(with other: Moments) -> Moments {
    guard count + other.count > 0 else { return self }
    let total = Double(count + other.count)
    let (own, others) = (Double(count) / total, Double(other.count) / total)
    func mixed(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { own * $0 + others * $1 } }
    return Moments(
      mean: mixed(mean, other.mean),
      second: Tensor(shape: second.shape, elements: mixed(second.elements, other.second.elements)),
      count: count + other.count)
  }
}

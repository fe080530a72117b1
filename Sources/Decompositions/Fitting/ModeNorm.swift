import Basics
import Foundation
import LinearAlgebra
import TensorCore

/// What errors count along one mode of a kernel: G in the norm ||G^(1/2) W||, G multiplying that mode.
///
/// Of a layer's output channels it is the second moment G = E[g g^T] of the gradients g of what is asked of the network with respect to
/// them. With the second moment S of the inputs, the Kronecker product of G and S stands for the curvature of the network's loss in the layer's
/// weights (Martens and Grosse, Optimizing neural networks with Kronecker-factored approximate curvature, 2015). Of its input channels it
/// is their second moment, which stands for that of whole patches where these are too wide.
public struct ModeNorm: Sendable {
  /// G^(1/2), symmetric, at a mean diagonal of G of 1.
  let root: Tensor<Double>
  private let inverse: Tensor<Double>
  /// G, at a mean diagonal of 1.
  package let moment: Tensor<Double>

  /// What is added to the diagonal, as a part of its mean: channels that no sample shows still count a little.
  private static let ridge = 0.01

  /// The norm of channels whose errors have this second moment.
  ///
  /// - Parameter moment: (channels x channels), symmetric, positive semidefinite, at any scale.
  /// - Throws: `Failure` where it is zero or holds NaN or infinity.
  public init(_ moment: Tensor<Double>) throws {
    let count = moment.shape[0]
    precondition(moment.shape == [count, count], "\(moment.shape) is not square")
    let trace = moment.trace
    guard moment.isFinite, trace > 0, trace.isFinite else {
      throw Failure("norm of channels", "counts nothing", "it is zero or holds NaN or infinity")
    }
    let scale = Double(count) / trace / (1 + Self.ridge)
    self.moment = moment.map { $0 * scale }.addingToDiagonal(Self.ridge / (1 + Self.ridge))
    root = try self.moment.power(0.5)
    inverse = try self.moment.power(-0.5)
  }

  /// G^(1/2) times a kernel.
  func applied(to kernel: Tensor<Double>, mode: Int) -> Tensor<Double> { root.applied(to: kernel, mode: mode) }

  /// The roots that belong to the factors of a pattern: G^(1/2) for one that has all channels. Where channels are split into digits, the
  /// Kronecker product of G's traces over the other digits stands for G.
  ///
  /// - Parameter mode: of the kernel.
  func roots(of shapes: [[Int]], mode: Int) throws -> Roots {
    let digits = shapes.map { $0[mode] }
    let factors = try digits.indices.map { k -> Roots.Factor? in
      guard digits[k] > 1 else { return nil }
      guard digits[k] < root.shape[0] else { return .init(root: root, inverse: inverse) }
      let partial = moment.partialTrace(digits: digits, keeping: k)
      return .init(root: try partial.power(0.5), inverse: try partial.power(-0.5))
    }
    return Roots(mode: mode, digits: digits, factors: factors)
  }

  package struct Roots {
    struct Factor {
      let root: Tensor<Double>
      let inverse: Tensor<Double>
    }

    fileprivate let mode: Int
    fileprivate let digits: [Int]
    fileprivate let factors: [Factor?]

    /// The Kronecker product of all roots times a kernel.
    func applied(to kernel: Tensor<Double>) -> Tensor<Double> {
      var result = kernel.reshaped(kernel.shape[..<mode] + digits + kernel.shape[(mode + 1)...])
      for (k, factor) in factors.enumerated() {
        if let factor { result = factor.root.applied(to: result, mode: mode + k) }
      }
      return result.reshaped(kernel.shape)
    }

    /// The factors of the kernel that the product is applied to, and back.
    package func applied(to factorization: Factorization) -> Factorization { scaled(factorization, \.root) }
    package func undone(_ factorization: Factorization) -> Factorization { scaled(factorization, \.inverse) }

    private func scaled(_ factorization: Factorization, _ side: KeyPath<Factor, Tensor<Double>>) -> Factorization {
      Factorization(
        factorization.pattern,
        factors: factorization.factors.enumerated().map { k, tensor in
          factors[k].map { $0[keyPath: side].applied(to: tensor, mode: mode) } ?? tensor
        })
    }
  }
}

extension Tensor where Scalar == Double {
  /// The matrix times one mode of a tensor.
  func applied(to tensor: Tensor, mode: Int) -> Tensor {
    let extent = tensor.shape[mode]
    let (before, after) = (tensor.shape[..<mode].reduce(1, *), tensor.shape[(mode + 1)...].reduce(1, *))
    // (before, own, after) to (own, all others) and back.
    let own = tensor.reshaped([before, extent, after]).permuted([1, 0, 2])
    return times(own.reshaped([extent, before * after])).reshaped([extent, before, after]).permuted([1, 0, 2])
      .reshaped(tensor.shape)
  }

  /// A power of a positive definite matrix.
  fileprivate func power(_ exponent: Double) throws -> Tensor {
    let eigen = try SymmetricEigendecomposition(self)
    let largest = eigen.values.max().required("a positive trace has an eigenvalue")
    let count = shape[0]
    // The vectors, each times its value to half the exponent, and their transpose.
    var scaled = eigen.vectors.elements
    for i in 0..<count * count {
      scaled[i] *= Foundation.pow(Swift.max(eigen.values[i / count], largest * 1e-12), exponent / 2)
    }
    return Tensor(shape: shape, elements: scaled).gram(ofColumns: true)
  }

  /// The trace over all digits of the index but one, as a mean.
  fileprivate func partialTrace(digits: [Int], keeping k: Int) -> Tensor {
    let own = digits[k]
    let (outer, inner) = (digits[..<k].reduce(1, *), digits[(k + 1)...].reduce(1, *))
    let size = shape[0]
    var sum = [Double](repeating: 0, count: own * own)
    for o in 0..<outer {
      for n in 0..<inner {
        for i in 0..<own {
          let row = (o * own + i) * inner + n
          for j in 0..<own { sum[i * own + j] += elements[row * size + (o * own + j) * inner + n] }
        }
      }
    }
    return Tensor(shape: [own, own], elements: sum.map { $0 / Double(outer * inner) })
  }
}

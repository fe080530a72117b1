import Basics
import TensorCore

extension Tensor where Scalar == Double {
  /// The kernels of a layer's groups.
  ///
  /// - Parameter shape: of each.
  /// - Throws: `Failure` when the kernel has another shape or holds NaN or infinity.
  package func groupBlocks(_ groups: Int, shape: [Int]) throws -> [Tensor] {
    let whole = [shape[0] * groups] + shape.dropFirst()
    guard self.shape == whole else {
      throw Failure(
        "kernel", "has another shape than its layer", "it is \(self.shape)", remedy: "expected \(whole)")
    }
    guard isFinite else { throw Failure.kernelNotFinite }
    // One group is the kernel itself, which can be large.
    guard groups > 1 else { return [self] }
    let size = count / groups
    return (0..<groups).map {
      Tensor(shape: shape, elements: Array(elements[$0 * size..<($0 + 1) * size]))
    }
  }

  /// The kernel of a layer from those of its groups, one behind the other along the output channels.
  package init(groupBlocks blocks: [Tensor]) {
    guard blocks.count > 1 else {
      self = blocks[0]
      return
    }
    self.init(
      shape: [blocks[0].shape[0] * blocks.count] + blocks[0].shape.dropFirst(),
      elements: Array(blocks.map(\.elements).joined()))
  }

  /// The relative discrepancy of a kernel whose groups have these absolute ones.
  func pooled(_ discrepancies: [Double]) -> Double {
    let total = discrepancies.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return norm > 0 ? total / norm : (total == 0 ? 0 : .infinity)
  }
}

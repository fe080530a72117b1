import ModelGraph
import TensorCore

/// What is known about a device: how much it holds and how fast its runtime is. A pure value; `Pipeline` reads it from files.
package struct DeviceProfile: Sendable, Equatable {
  package let name: String
  package let description: String
  /// Where the figures come from.
  package let source: String
  /// Bytes that a checkpoint may take; nil where the device sets no limit worth a plan.
  package let flash: Int?
  /// Bytes that activations may take: of the largest piece of memory that a runtime can use as one; nil likewise.
  package let ram: Int?
  /// The type in which weights and activations live there unless a plan says otherwise.
  package let dtype: DType
  /// Bytes of operands, weights and results per second.
  package let bandwidth: Double
  /// Seconds that every operation takes beside.
  package let overhead: Double
  /// How fast the runtime's kernels are; it has no others.
  package let operations: [OperationKind: Speed]

  /// How fast the kernels of one kind are.
  package struct Speed: Sendable, Equatable {
    /// The rate of wide and deep products, by the type that is computed in; empty for kinds without
    /// multiply-accumulates.
    package var macsPerSecond: [DType: Double]
    /// The bandwidth of this operation, in bytes per second; nil where it is the device's own.
    package var bandwidth: Double?
    package var overhead: Double?
    /// The width of a product (`NodeWork`), and its depth, at which half the speed is reached: Hockney's n_1/2 (R. W. Hockney and C. R. Jesshope,
    /// Parallel Computers 2, 1988). 0 where the speed does not depend on it.
    package var halfWidth: Double
    package var halfDepth: Double

    package init(
      macsPerSecond: [DType: Double] = [:], bandwidth: Double? = nil, overhead: Double? = nil, halfWidth: Double = 0,
      halfDepth: Double = 0
    ) {
      self.macsPerSecond = macsPerSecond
      self.bandwidth = bandwidth
      self.overhead = overhead
      self.halfWidth = halfWidth
      self.halfDepth = halfDepth
    }
  }

  package init(
    name: String, description: String, source: String, flash: Int?, ram: Int?, dtype: DType,
    bandwidth: Double, overhead: Double, operations: [OperationKind: Speed]
  ) {
    self.name = name
    self.description = description
    self.source = source
    self.flash = flash
    self.ram = ram
    self.dtype = dtype
    self.bandwidth = bandwidth
    self.overhead = overhead
    self.operations = operations
  }

  /// Seconds that a node takes, by its kind's roofline. Infinite where the runtime does not have the operation.
  ///
  /// - Parameter dtype: of weights and activations; nil for the device's own. A type that the profile has no speed for is computed
  ///   at the speed of the device's own and moved in its own size.
  package func seconds(of work: NodeWork, dtype: DType? = nil) -> Double {
    guard let speed = operations[work.kind] else { return .infinity }
    let dtype = dtype ?? self.dtype
    return Roofline(
      rate: speed.macsPerSecond[dtype] ?? speed.macsPerSecond[self.dtype] ?? .infinity,
      bandwidth: speed.bandwidth ?? bandwidth, overhead: speed.overhead ?? overhead, halfWidth: speed.halfWidth,
      halfDepth: speed.halfDepth
    ).seconds(of: work, elementBytes: Double(dtype.bits) / 8)
  }

  /// The operation that these stages need and the device's runtime does not have, in words; nil where it has all.
  package func missingOperation(in stages: [Stage]) -> String? {
    stages.lazy.flatMap(\.kinds).first { operations[$0] == nil }?.words
  }
}

extension Stage {
  /// The kinds of operations that a runtime must have for the stage.
  fileprivate var kinds: [OperationKind] {
    switch self {
    case .convolution(let convolution): convolution.kinds
    case .permutation: [.permutation]
    case .bias: [.elementwise]
    }
  }
}

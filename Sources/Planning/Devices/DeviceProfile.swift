import ModelGraph
import TensorCore

/// What is known about a device: how much it holds and how fast its runtime is. A pure value; `Pipeline` reads it from files.
public struct DeviceProfile: Sendable, Equatable {
  public let name: String
  public let description: String
  /// Where the figures come from.
  public let source: String
  /// Bytes that a checkpoint may take; nil where the device sets no limit worth a plan.
  public let flash: Int?
  /// Bytes that activations may take: of the largest piece of memory that a runtime can use as one; nil likewise.
  public let ram: Int?
  /// The type in which weights and activations live there unless a plan says otherwise.
  public let dtype: DType
  /// How fast the runtime's kernels are; it has no others.
  public let operations: [OperationKind: Speed]

  /// How fast the kernels of one kind are.
  public struct Speed: Sendable, Equatable {
    /// Of wide and deep products, by the type that is computed in; empty for kinds without multiply-accumulates.
    public var macsPerSecond: [DType: Double]
    /// Bytes of operands, weights and results per second.
    public var bandwidth: Double
    /// Seconds that every operation takes beside.
    public var overhead: Double
    /// The width of a product, and its depth, at which half the speed is reached: Hockney's n_1/2 (R. W. Hockney and C. R. Jesshope,
    /// Parallel Computers 2, 1988). 0 where the speed does not depend on it.
    public var halfWidth: Double
    public var halfDepth: Double

    public init(
      macsPerSecond: [DType: Double], bandwidth: Double, overhead: Double, halfWidth: Double = 0, halfDepth: Double = 0
    ) {
      self.macsPerSecond = macsPerSecond
      self.bandwidth = bandwidth
      self.overhead = overhead
      self.halfWidth = halfWidth
      self.halfDepth = halfDepth
    }
  }

  public init(
    name: String, description: String, source: String, flash: Int?, ram: Int?, dtype: DType,
    operations: [OperationKind: Speed]
  ) {
    self.name = name
    self.description = description
    self.source = source
    self.flash = flash
    self.ram = ram
    self.dtype = dtype
    self.operations = operations
  }

  /// Seconds that a node takes: the roofline (S. Williams, A. Waterman and D. Patterson, CACM 52(4), 2009) and what every
  /// operation takes beside. Infinite where the runtime does not have the operation.
  ///
  /// - Parameter dtype: of weights and activations; nil for the device's own. A type that the profile has no speed for is computed
  ///   at the speed of the device's own and moved in its own size.
  public func seconds(of work: NodeWork, dtype: DType? = nil) -> Double {
    guard let speed = operations[work.kind] else { return .infinity }
    let dtype = dtype ?? self.dtype
    let bytes = Double(work.read + work.written + work.weights) * Double(dtype.bits) / 8
    var arithmetic = 0.0
    if work.macs > 0, let rate = speed.macsPerSecond[dtype] ?? speed.macsPerSecond[self.dtype] {
      arithmetic =
        Double(work.macs) / rate * (1 + speed.halfWidth / Double(work.width))
        * (1 + speed.halfDepth / Double(work.depth))
    }
    return speed.overhead + max(arithmetic, bytes / speed.bandwidth)
  }

  /// The operation that these stages need and the device's runtime does not have, in words; nil where it has all.
  public func missingOperation(in stages: [Stage]) -> String? {
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

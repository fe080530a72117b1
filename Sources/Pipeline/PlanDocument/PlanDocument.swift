import TensorCore

/// A plan as `plan` writes it and `apply` reads it: what is to become of every layer, what it will cost, and how far from the
/// optimum it can be at most. The keys of its JSON form are a contract with scripts.
public struct PlanDocument: Sendable, Equatable {
  static let schema = "kcompress.plan/1"

  /// Costs of a network; nil where they are not known or not limited.
  public struct Costs: Sendable, Equatable {
    public var bytes: Int
    public var macs: Int?
    public var ram: Int?
    /// Seconds.
    public var latency: Double?
    /// The planning objective, the sum over all layers: with samples of the loss of the network's outputs when this layer alone is
    /// changed, else of the squared relative discrepancy of the kernel.
    public var loss: Double
  }

  public struct Budget: Sendable, Equatable {
    /// The bytes that the written file may have at most.
    public var bytes: Int?
    /// Multiply-accumulates for one sample.
    public var macs: Int?
    /// Bytes of activations that may be alive at once.
    public var ram: Int?
    /// Seconds for one sample.
    public var latency: Double?

    public init(bytes: Int? = nil, macs: Int? = nil, ram: Int? = nil, latency: Double? = nil) {
      self.bytes = bytes
      self.macs = macs
      self.ram = ram
      self.latency = latency
    }
  }

  /// The uncompressed checkpoint.
  public struct Original: Sendable, Equatable {
    public var bytes: Int
    public var parameters: Int
    public var macs: Int?
    public var ram: Int?
    /// Seconds on the device.
    public var latency: Double?
  }

  /// What the solver proved.
  public struct Solver: Sendable, Equatable {
    public var loss: Double
    /// No plan whose file fits has a smaller loss than this.
    public var lowerBound: Double
    /// (loss - lowerBound) / loss.
    public var gap: Double
    public var optimal: Bool
  }

  /// What one unit of each limit more would take off the loss, as far as the relaxation tells; 0 for limits that do not bind.
  public struct Prices: Sendable, Equatable {
    /// For each byte.
    public var bytes: Double
    /// For each multiply-accumulate.
    public var macs: Double
    /// For each second.
    public var latency: Double
  }

  /// A tensor that is no layer's kernel.
  public struct KeptTensor: Sendable, Equatable {
    public var name: String
    public var bytes: Int
    /// Why it stays as it is.
    public var reason: String
  }

  public struct LayerPlan: Sendable, Equatable {
    public var name: String
    public var operation: String
    /// The kernel's (out, in / groups, spatial...).
    public var shape: [Int]
    /// `dense` or a structure's name.
    public var structure: String
    public var ranks: [Int]
    /// The shapes that the structure's factors have.
    public var shapes: [[Int]]
    public var parameters: Int
    /// What the layer's tensors occupy in the file, without headers.
    public var bytes: Int
    public var macs: Int?
    public var loss: Double
    /// ||W - What|| / ||W|| of the kernel.
    public var discrepancy: Double
    /// Why the layer stays dense, or what the user should know of its fit.
    public var reason: String?
  }

  /// The options that the plan was made with and that `apply` honours.
  public struct Options: Sendable, Equatable {
    public var structures: [String]
    public var keep: [String]
    public var seed: UInt64
    /// The ONNX export that gave the checkpoint its graph.
    public var graph: String?
    /// The architecture of Keras weights.
    public var architecture: String?
    /// The type in which the file stores numbers; nil where each tensor keeps its own.
    public var dtype: DType?
    /// The samples that the plan was made with.
    public var calibration: CalibrationSource?
    /// The device's name.
    public var device: String?
    /// Ranks above 1 are multiples of this.
    public var rankMultiple: Int
    /// What was asked of single layers.
    public var rules: [Recipe.Rule]
  }

  /// What another size would cost: a point of the frontier of all plans.
  public struct Alternative: Sendable, Equatable {
    /// Of the file, up to the padding between its parts.
    public var bytes: Int
    public var loss: Double
    public var macs: Int?
    /// Seconds on the device.
    public var latency: Double?
    /// Whether a smaller file costs much more loss from here on.
    public var isKnee: Bool
  }

  public var checkpoint: String
  public var sha256: String
  public var budget: Budget
  public var predicted: Costs
  public var original: Original
  public var solver: Solver
  public var prices: Prices
  public var layers: [LayerPlan]
  public var kept: [KeptTensor]
  public var options: Options
  /// The frontier of loss against size, the smallest file first.
  public var frontier: [Alternative]
}

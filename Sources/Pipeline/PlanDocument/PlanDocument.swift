import Formats
import TensorCore

/// A plan as `plan` writes it and `apply` reads it: what is to become of every layer, what it will cost, and how far from the
/// optimum it can be at most. The keys of its JSON form are a contract with scripts.
package struct PlanDocument: Sendable, Equatable {
  static let schema = "kcompress.plan/1"

  /// Costs of a network; nil where they are not known or not limited.
  package struct Costs: Sendable, Equatable {
    package var bytes: Int
    package var macs: Int?
    package var ram: Int?
    /// Seconds.
    package var latency: Double?
    /// The planning objective, the sum over all layers: with samples of the loss of the network's outputs when this layer alone is
    /// changed, else of the squared relative discrepancy of the kernel.
    package var loss: Double
  }

  package struct Budget: Sendable, Equatable {
    /// The bytes that the written file may have at most.
    package var bytes: Int?
    /// Multiply-accumulates for one sample.
    package var macs: Int?
    /// Bytes of activations that may be alive at once.
    package var ram: Int?
    /// Seconds for one sample.
    package var latency: Double?

    package init(bytes: Int? = nil, macs: Int? = nil, ram: Int? = nil, latency: Double? = nil) {
      self.bytes = bytes
      self.macs = macs
      self.ram = ram
      self.latency = latency
    }
  }

  /// The uncompressed checkpoint.
  package struct Original: Sendable, Equatable {
    package var bytes: Int
    package var parameters: Int
    package var macs: Int?
    package var ram: Int?
    /// Seconds on the device.
    package var latency: Double?
  }

  /// What the solver proved.
  package struct Solver: Sendable, Equatable {
    package var loss: Double
    /// No plan whose file fits has a smaller loss than this.
    package var lowerBound: Double
    /// (loss - lowerBound) / loss.
    package var gap: Double
    package var optimal: Bool
  }

  /// What one unit of each limit more would take off the loss, as far as the relaxation tells; 0 for limits that do not bind.
  package struct Prices: Sendable, Equatable {
    /// For each byte.
    package var bytes: Double
    /// For each multiply-accumulate.
    package var macs: Double
    /// For each second.
    package var latency: Double
  }

  /// A tensor that is no layer's kernel.
  package struct KeptTensor: Sendable, Equatable {
    package var name: String
    package var bytes: Int
    /// Why it stays as it is.
    package var reason: String
  }

  package struct LayerPlan: Sendable, Equatable {
    package var name: String
    package var operation: String
    /// The kernel's (out, in / groups, spatial...).
    package var shape: [Int]
    /// `dense` or a structure's name.
    package var structure: String
    package var ranks: [Int]
    /// The shapes that the structure's factors have.
    package var shapes: [[Int]]
    package var parameters: Int
    /// What the layer's tensors occupy in the file, without headers.
    package var bytes: Int
    package var macs: Int?
    package var loss: Double
    /// ||W - What|| / ||W|| of the kernel.
    package var discrepancy: Double
    /// Why the layer stays dense, or what the user should know of its fit.
    package var reason: String?
  }

  /// The options that the plan was made with and that `apply` honours.
  package struct Options: Sendable, Equatable {
    package var structures: [String]
    package var keep: [String]
    package var seed: UInt64
    /// The ONNX export that gave the checkpoint its graph.
    package var graph: String?
    /// The architecture of Keras weights.
    package var architecture: String?
    /// The type in which the file stores numbers; nil where each tensor keeps its own.
    package var dtype: DType?
    /// The samples that the plan was made with.
    package var calibration: CalibrationSource?
    /// The device's name.
    package var device: String?
    /// Ranks above 1 are multiples of this.
    package var rankMultiple: Int
    /// What was asked of single layers.
    package var rules: [Recipe.Rule]
  }

  /// What another size would cost: a point of the frontier of all plans.
  package struct Alternative: Sendable, Equatable {
    /// Of the file, up to the padding between its parts.
    package var bytes: Int
    package var loss: Double
    package var macs: Int?
    /// Seconds on the device.
    package var latency: Double?
    /// Whether a smaller file costs much more loss from here on.
    package var isKnee: Bool
  }

  package var checkpoint: String
  package var sha256: String
  package var budget: Budget
  package var predicted: Costs
  package var original: Original
  package var solver: Solver
  package var prices: Prices
  package var layers: [LayerPlan]
  package var kept: [KeptTensor]
  package var options: Options
  /// The frontier of loss against size, the smallest file first.
  package var frontier: [Alternative]
}

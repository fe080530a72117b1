import Basics
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
    public var bytes: Int
    public var macs: Int?
    public var ram: Int?
    public var latency: Double?

    public init(bytes: Int) { self.bytes = bytes }
  }

  /// The uncompressed checkpoint.
  public struct Original: Sendable, Equatable {
    public var bytes: Int
    public var parameters: Int
    public var macs: Int?
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
  }

  /// What another size would cost: a point of the frontier of all plans.
  public struct Alternative: Sendable, Equatable {
    /// Of the file, up to the padding between its parts.
    public var bytes: Int
    public var loss: Double
  }

  public var checkpoint: String
  public var sha256: String
  public var budget: Budget
  public var predicted: Costs
  public var original: Original
  public var solver: Solver
  public var layers: [LayerPlan]
  public var options: Options
  /// The frontier of loss against size, the smallest file first.
  public var frontier: [Alternative]
}

extension PlanDocument {
  /// The document's JSON form; the same plan gives the same text.
  public var json: JSON {
    [
      "schema": .string(Self.schema),
      "checkpoint": .string(checkpoint),
      "sha256": .string(sha256),
      "budget": [
        "bytes": .integer(budget.bytes), "macs": .optional(budget.macs, JSON.integer),
        "ram": .optional(budget.ram, JSON.integer), "latency": .optional(budget.latency, JSON.real),
      ],
      "predicted": [
        "bytes": .integer(predicted.bytes), "macs": .optional(predicted.macs, JSON.integer),
        "ram": .optional(predicted.ram, JSON.integer),
        "latency": .optional(predicted.latency, JSON.real), "loss": .real(predicted.loss),
      ],
      "original": [
        "bytes": .integer(original.bytes), "parameters": .integer(original.parameters),
        "macs": .optional(original.macs, JSON.integer),
      ],
      "solver": [
        "loss": .real(solver.loss), "lower_bound": .real(solver.lowerBound),
        "gap": .real(solver.gap), "optimal": .bool(solver.optimal),
      ],
      "options": [
        "structures": .strings(options.structures), "keep": .strings(options.keep),
        "seed": .number(String(options.seed)), "graph": .optional(options.graph, JSON.string),
        "architecture": .optional(options.architecture, JSON.string),
        "dtype": .optional(options.dtype) { .string($0.rawValue.lowercased()) },
        "calibration": .optional(options.calibration, \.json),
      ],
      "layers": .array(layers.map(\.json)),
      "frontier": .array(frontier.map { ["bytes": .integer($0.bytes), "loss": .real($0.loss)] }),
    ]
  }
}

extension PlanDocument.LayerPlan {
  fileprivate var json: JSON {
    [
      "name": .string(name), "operation": .string(operation), "shape": .integers(shape),
      "structure": .string(structure), "ranks": .integers(ranks),
      "shapes": .array(shapes.map { .integers($0) }), "parameters": .integer(parameters),
      "bytes": .integer(bytes), "macs": .optional(macs, JSON.integer), "loss": .real(loss),
      "discrepancy": .real(discrepancy), "reason": .optional(reason, JSON.string),
    ]
  }
}

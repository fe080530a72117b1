import Checkpoints
import Formats
import TensorCore

/// A plan as `plan` writes it and `apply` reads it: what is to become of every layer, what it will cost, and how far from the
/// optimum it can be at most. The keys of its JSON form are a contract with scripts.
package struct PlanDocument: Sendable, Equatable {
  package static let schema = "kcompress.plan/1"

  /// What a network costs.
  package struct Costs: Sendable, Equatable {
    /// The file's bytes are always known.
    package var amounts: Amounts
    /// The planning objective, the sum over all layers: with samples, the loss of the network's outputs when this layer alone
    /// is changed; else the squared relative discrepancy of the kernel.
    package var loss: Double

    package init(_ amounts: Amounts, loss: Double) {
      self.amounts = amounts
      self.loss = loss
    }

    /// The bytes of the file.
    package var bytes: Int { amounts.fileBytes }
  }

  /// The uncompressed checkpoint.
  package struct Original: Sendable, Equatable {
    /// The file's bytes are always known.
    package var amounts: Amounts
    package var parameters: Int

    package init(_ amounts: Amounts, parameters: Int) {
      self.amounts = amounts
      self.parameters = parameters
    }

    /// The bytes of the file.
    package var bytes: Int { amounts.fileBytes }
  }

  /// What the solver proved.
  package struct Solver: Sendable, Equatable {
    package var loss: Double
    /// No plan whose file fits has a smaller loss than this.
    package var lowerBound: Double
    /// Whether the plan is proven to be the best.
    package var optimal: Bool
    /// How much better any plan could be at most: (loss - lowerBound) / loss.
    package var gap: Double

    package init(loss: Double, lowerBound: Double, gap: Double, optimal: Bool) {
      self.loss = loss
      self.lowerBound = lowerBound
      self.gap = gap
      self.optimal = optimal
    }
  }

  /// A tensor that is no layer's kernel.
  package struct KeptTensor: Sendable, Equatable {
    package var name: String
    package var bytes: Int
    /// Why the tensor stays as it is.
    package var reason: String

    package init(name: String, bytes: Int, reason: String) {
      self.name = name
      self.bytes = bytes
      self.reason = reason
    }
  }

  /// What is to become of one layer.
  package struct LayerPlan: Sendable, Equatable {
    package var name: String
    package var operation: String
    /// The kernel's (out, in / groups, spatial...).
    package var shape: [Int]
    package var form: LayerForm
    /// How the layer's weights are stored.
    package var storage: WeightStorage
    package var parameters: Int
    /// What the layer's tensors occupy in the file, without headers.
    package var bytes: Int
    package var macs: Int?
    package var loss: Double
    /// ||W - What|| / ||W|| of the kernel.
    package var discrepancy: Double
    /// Why the layer stays dense, or what the user should know of its fit.
    package var reason: String?

    package init(
      name: String, operation: String, shape: [Int], form: LayerForm, storage: WeightStorage = .float, parameters: Int,
      bytes: Int, macs: Int?, loss: Double, discrepancy: Double, reason: String?
    ) {
      self.name = name
      self.operation = operation
      self.shape = shape
      self.form = form
      self.storage = storage
      self.parameters = parameters
      self.bytes = bytes
      self.macs = macs
      self.loss = loss
      self.discrepancy = discrepancy
      self.reason = reason
    }
  }

  /// The options that the plan was made with and that `apply` honours.
  package struct Options: Sendable, Equatable {
    /// What `rankMultiple` may be.
    package static let rankMultiples = 1...1024

    package var structures: [String]
    package var keep: [String]
    package var seed: UInt64
    /// The ONNX export that gave the checkpoint its graph.
    package var graph: String?
    /// The architecture of Keras weights.
    package var architecture: String?
    /// How tensors without a network are read.
    package var stateDict: StateDictOptions
    /// The type in which the file stores numbers; nil where each tensor keeps its own.
    package var dtype: DType?
    /// The widths in bits that weights may be stored in, beside their own type; nil where none was asked for.
    package var bits: [BitWidth]?
    /// The samples that the plan was made with.
    package var calibration: CalibrationSource?
    /// The device's name.
    package var device: String?
    /// Ranks above 1 are multiples of this.
    package var rankMultiple: Int
    /// What was asked of single layers.
    package var rules: [Recipe.Rule]

    package init(
      structures: [String], keep: [String], seed: UInt64, graph: String?, architecture: String?,
      stateDict: StateDictOptions = StateDictOptions(), dtype: DType?,
      bits: [BitWidth]? = nil, calibration: CalibrationSource?, device: String?, rankMultiple: Int, rules: [Recipe.Rule]
    ) {
      self.structures = structures
      self.keep = keep
      self.seed = seed
      self.graph = graph
      self.architecture = architecture
      self.stateDict = stateDict
      self.dtype = dtype
      self.bits = bits
      self.calibration = calibration
      self.device = device
      self.rankMultiple = rankMultiple
      self.rules = rules
    }
  }

  /// What another size would cost: a point of the frontier of all plans.
  package struct Alternative: Sendable, Equatable {
    /// The bytes are those of the file, up to the padding between its parts.
    package var costs: Costs
    /// Whether a smaller file costs much more loss from here on.
    package var isKnee: Bool

    package init(_ costs: Costs, isKnee: Bool) {
      self.costs = costs
      self.isKnee = isKnee
    }
  }

  package var checkpoint: String
  package var sha256: String
  /// What the compressed network may cost.
  package var budget: Amounts
  package var predicted: Costs
  package var original: Original
  package var solver: Solver
  /// What one unit of each resource more would take off the loss, as far as the relaxation tells; 0 for limits that do not bind.
  package var prices: [Resource: Double]
  package var layers: [LayerPlan]
  package var kept: [KeptTensor]
  package var options: Options
  /// The frontier of loss against size, the smallest file first.
  package var frontier: [Alternative]

  package init(
    checkpoint: String, sha256: String, budget: Amounts, predicted: Costs, original: Original, solver: Solver,
    prices: [Resource: Double], layers: [LayerPlan], kept: [KeptTensor], options: Options, frontier: [Alternative]
  ) {
    self.checkpoint = checkpoint
    self.sha256 = sha256
    self.budget = budget
    self.predicted = predicted
    self.original = original
    self.solver = solver
    self.prices = prices
    self.layers = layers
    self.kept = kept
    self.options = options
    self.frontier = frontier
  }
}

extension PlanDocument.LayerPlan {
  /// Whether the layer stays as it is in the checkpoint.
  package var isUnchanged: Bool { form.isDense && storage == .float }
}

extension Amounts {
  /// - Precondition: the bytes are known.
  fileprivate var fileBytes: Int {
    guard let bytes = self[count: .bytes] else { preconditionFailure("the size of a file is always known") }
    return bytes
  }
}

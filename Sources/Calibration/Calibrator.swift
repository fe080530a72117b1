import Decompositions
import ModelGraph
import Running
import TensorCore

/// What a layer's inputs say about its fit.
package struct InputStatistics: Sendable {
  /// The norm in which errors of the kernel count.
  package let norm: FitNorm
  /// E[x] of the input patches; empty where nobody makes up for the mean of the outputs.
  package let mean: [Double]

  package init(norm: FitNorm, mean: [Double]) {
    self.norm = norm
    self.mean = mean
  }
}

/// The weights that a plan's layers became, and what else changed with them.
package struct FittedPlan: Sendable {
  /// What the layers became, in the order of the planned ones.
  package var layers: [CompressedLayer]
  /// The kernels of layers that stay dense and follow the others' changes, by the layers' names.
  package var kernels: [String: Tensor<Double>]
  /// Biases and means that make up for what compression does to the mean of outputs, by their references.
  package var offsets: [TensorReference: Tensor<Double>]
  /// What was measured on held-out samples; nil where nothing was.
  package var outcome: CalibrationOutcome?

  package init(
    layers: [CompressedLayer], kernels: [String: Tensor<Double>] = [:],
    offsets: [TensorReference: Tensor<Double>] = [:],
    outcome: CalibrationOutcome? = nil
  ) {
    self.layers = layers
    self.kernels = kernels
    self.offsets = offsets
    self.outcome = outcome
  }
}

/// A kernel that may take the place of a layer's own.
package struct KernelApproximation {
  /// Its relative discrepancy in the norm of the fit.
  package let outputDiscrepancy: Double
  /// The kernel, in the shape of the layer's own.
  package let kernel: () throws -> Tensor<Double>

  package init(outputDiscrepancy: Double, kernel: @escaping () throws -> Tensor<Double>) {
    self.outputDiscrepancy = outputDiscrepancy
    self.kernel = kernel
  }
}

/// A network with data of what it will see: the layers' inputs give the norms of their fits, the outputs the loss of a plan.
package protocol Calibrator: Sendable {
  /// What the user should know about the data.
  var notices: [String] { get }

  /// What the user should know about the data and about layers that they do not reach.
  func notices(on layers: [Layer]) -> [String]

  /// What the inputs of these layers say, by the layers' names; a layer that is missing is fitted in the norm of its weights.
  ///
  /// - Throws: `Failure` where the network cannot be run on the data.
  func statistics(of layers: [Layer], progress: ProgressHandler) throws -> [String: InputStatistics]

  /// What approximations of a layer's kernel do to the network's outputs; nil where that is not measured.
  ///
  /// - Throws: `Failure` where the network cannot be run on the data.
  func sensitivity(
    of layer: Layer, _ approximations: [KernelApproximation], _ statistics: InputStatistics?
  ) throws -> Sensitivity?

  /// Fits all layers of a plan.
  ///
  /// - Parameter dense: layers that keep their form and may follow the others' changes.
  /// - Throws: `Failure` where the network cannot be run on the data, or LAPACK does not converge.
  func fit(
    _ planned: [PlannedLayer], following dense: [Layer], seed: UInt64, progress: ProgressHandler
  ) throws -> FittedPlan
}

import Basics
import Inference
import ModelGraph
import TensorCore

/// How the gradient of a node's output becomes those of its operands and of its weights.
protocol Adjoint: Sendable {
  /// What it looks at besides the gradient; everything else need not be kept until the way back.
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads

  func gradients(_ pass: AdjointPass) throws -> AdjointResult
}

/// The adjoint of an operation whose statistics follow the batches (`Operation.hasBatchStatistics`).
protocol BatchStatisticsAdjoint: Adjoint {
  /// Runs the operation forwards with the statistics of the batch in place of the stored ones.
  ///
  /// - Throws: what `weight` throws.
  func runOnBatch(
    _ operands: [Tensor<Float>], weight: (TensorReference) throws -> Tensor<Float>
  ) throws -> (output: Tensor<Float>, statistics: BatchStatistics)
}

/// The values that an adjoint looks at.
struct AdjointReads: OptionSet, Sendable {
  let rawValue: Int
  static let operands = AdjointReads(rawValue: 1)
  static let output = AdjointReads(rawValue: 2)
}

/// One node on the way back.
struct AdjointPass {
  let node: Node
  /// The gradient of the output, in its shape.
  let gradient: Tensor<Float>
  /// The operands; none where the adjoint does not read them.
  let operands: [Tensor<Float>]
  let operandShapes: [[Int]]
  /// The output; nil where the adjoint does not read it.
  let output: Tensor<Float>?
  /// Whether somebody asks for an operand's gradient.
  let isWanted: [Bool]
  /// What a batch normalisation found in its batch; nil for others, and where it has stored statistics.
  let statistics: BatchStatistics?
  let weight: (TensorReference) throws -> Tensor<Float>
  let isTrained: (TensorReference) -> Bool

  /// The node run on other operands.
  func run(_ operands: [Tensor<Float>], outputShape: [Int]) throws -> Tensor<Float> {
    try NodeRunner(node, parameter: weight).run(operands, outputShape: outputShape)
  }
}

struct AdjointResult {
  /// One for each operand; nil where nobody asks, or where the output does not change with it.
  var operands: [Tensor<Float>?]
  var weights: [(TensorReference, Tensor<Float>)] = []
}

extension Adjoint {
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { [] }
}

/// Nothing changes with the operands: shapes, places, signs, steps.
struct FlatAdjoint: Adjoint {
  func gradients(_ pass: AdjointPass) -> AdjointResult {
    AdjointResult(operands: pass.operandShapes.map { _ in nil })
  }
}

/// A tensor of the checkpoint that is a value of the graph.
struct ParameterAdjoint: Adjoint {
  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard case .array(.parameter(let reference, _)) = pass.node.operation, pass.isTrained(reference) else {
      return AdjointResult(operands: [])
    }
    return AdjointResult(operands: [], weights: [(reference, pass.gradient)])
  }
}

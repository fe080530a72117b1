import Basics
import Decompositions
import Recurrent
import TensorCore

/// What `rnn convert` did.
package struct RecurrentConversion: Sendable {
  package let output: String
  package let shape: RecurrentShape
  /// ||A - Ahat|| / ||A|| of a fit in the norm of the weights; nil where the conversion is exact.
  package let discrepancy: Double?
  package let notices: [String]

  package var json: JSON {
    [
      "output": .string(output), "model": .string(shape.kind.rawValue), "hidden": .integer(shape.hidden),
      "inputs": .integer(shape.inputs), "rank": .integer(shape.rank), "parameters": .integer(shape.parameterCount),
      "discrepancy": .optional(discrepancy, JSON.real), "notices": .strings(notices),
    ]
  }
}

/// Turns a character model into one of another kind.
///
/// - Parameters:
///   - rank: of a fit.
///   - calibration: a text; the fit is in the norm of the states and characters that it gives. Nil for the norm of the weights.
/// - Throws: `Failure` where there is no such conversion, or a file does not serve.
package func convertRecurrent(
  model path: String, to kind: RecurrentShape.Kind, rank: Int? = nil, calibration: String? = nil, output: String,
  seed: UInt64 = 0, overwrite: Bool = false, workers: Workers
) throws -> RecurrentConversion {
  try OutputSet([.init(output, option: "-o")])
    .check(
      inputs: [(path, "the model")] + (calibration.map { [($0, "the text")] } ?? []), overwrite: overwrite)
  let file = try RecurrentFile(path: path)
  let model = file.model
  func refused(_ reason: String, _ remedy: String? = nil) -> Failure {
    Failure(path, "is not converted to \(kind.rawValue)", reason, remedy: remedy)
  }
  var discrepancy: Double?
  let converted: RecurrentModel
  switch (model.shape.kind, kind) {
  case (.rnn, .secondOrder), (.mirnn, .secondOrder), (.cprnn, .secondOrder), (.cpbirnn, .birnn):
    converted = model.secondOrder()
  case (.mirnn, .cprnn): converted = model.canonicalGate()
  case (.secondOrder, .cprnn), (.birnn, .cpbirnn):
    guard let rank else { throw refused("a fit needs a rank", "give one with --rank") }
    let fullRank = RecurrentModel.fullRank(model.shape)
    guard rank < fullRank else {
      converted = model.canonical(ofFullRank: rank)
      break
    }
    let calibration = try calibration.map { try RecurrentCalibration(model, text: $0, workers: workers) }
    let layer = try model.fitted(rank: rank, calibration, seed: seed)
    (converted, discrepancy) = (layer.model, layer.discrepancy)
  default:
    throw refused(
      "a \(model.shape.kind.rawValue) has no such form",
      "expected rnn, mirnn or cprnn to 2rnn, mirnn to cprnn, cpbirnn to birnn, 2rnn to cprnn, or birnn to cpbirnn")
  }
  if discrepancy == nil, rank ?? converted.shape.rank != converted.shape.rank {
    throw refused("the conversion is exact and gives the rank \(converted.shape.rank)", "leave --rank out")
  }
  if discrepancy == nil, calibration != nil, model.shape.kind.bilinear != .tensor {
    throw refused("the conversion is exact and needs no text", "leave --calibration out")
  }
  try RecurrentFile.write(converted, to: output, overwrite: overwrite)
  return RecurrentConversion(
    output: output, shape: converted.shape, discrepancy: discrepancy, notices: file.notices)
}

extension RecurrentModel {
  /// A network whose tensor is replaced by a sum of `rank` products of vectors, as far as the best of the project's fits finds it.
  ///
  /// - Precondition: the term is a tensor.
  func fitted(rank: Int, _ calibration: RecurrentCalibration?, seed: UInt64) throws -> (
    model: RecurrentModel, discrepancy: Double
  ) {
    let (n, d) = (shape.hidden, shape.inputs)
    let pattern = FactorPattern(
      shapes: [[n, 1, 1], [1, n, 1], [1, 1, d]], ranks: [rank], rankAxes: [[0], [0], [0]])
    let tensor = bilinearTensor
    let fit = try Fitting(FitObjective(tensor, norm: calibration?.norm), seed: seed).fit(
      pattern, of: CP(), effort: .final)
    let factors = fit.factorization.factors.map { factor in
      factor.converted(to: Float.self).reshaped([factor.count / rank, rank])
    }
    var model = canonical(output: factors[0], state: factors[1].permuted([1, 0]), input: factors[2])
    if let change = calibration?.correction(for: tensor.subtracting(fit.factorization.reconstruct())) {
      model.add(change.hidden, to: .hidden)
      model.add(change.input.permuted([1, 0]), to: .input)
    }
    return (model, fit.kernelDiscrepancy)
  }

  private mutating func add(_ change: Tensor<Double>, to parameter: RecurrentParameter) {
    parameters[parameter.rawValue] = self[parameter].adding(change.converted(to: Float.self))
  }
}

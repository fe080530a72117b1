import Basics
import Decompositions
import Networks
import Recurrent
import Running
import TensorCore

/// What the user asks `rnn convert` for.
package struct RecurrentConversionRequest: Job {
  /// The path of a character model.
  package var model: String
  package var kind: RecurrentShape.Kind
  /// The rank of a fit.
  package var rank: Int?
  /// A text; the fit is in the norm of the states and characters that it gives. Nil for the norm of the weights.
  package var calibration: String?
  package var output: String
  package var seed: UInt64
  package var overwrite: Bool

  package init(
    model: String, to kind: RecurrentShape.Kind, rank: Int? = nil, calibration: String? = nil, output: String,
    seed: UInt64 = 0, overwrite: Bool = false
  ) {
    (self.model, self.kind, self.rank, self.calibration) = (model, kind, rank, calibration)
    (self.output, self.seed, self.overwrite) = (output, seed, overwrite)
  }

  /// Turns a character model into one of another kind.
  ///
  /// - Throws: `Failure` where there is no such conversion, or a file does not serve.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentConversion {
    try OutputSet([.init(output, option: "-o")])
      .check(
        inputs: [(model, "the model")] + (calibration.map { [($0, "the text")] } ?? []), overwrite: overwrite)
    let file = try RecurrentFile(path: model)
    let own = file.model
    func refused(_ reason: String, _ remedy: String? = nil) -> Failure {
      Failure(model, "is not converted to \(kind.rawValue)", reason, remedy: remedy)
    }
    var discrepancy: Double?
    let converted: RecurrentModel
    switch (own.shape.kind, kind) {
    case (.rnn, .secondOrder), (.mirnn, .secondOrder), (.cprnn, .secondOrder), (.cpbirnn, .birnn):
      converted = own.secondOrder()
    case (.mirnn, .cprnn): converted = own.canonicalGate()
    case (.secondOrder, .cprnn), (.birnn, .cpbirnn):
      guard let rank else { throw refused("a fit needs a rank", "give one with --rank") }
      let fullRank = RecurrentModel.fullRank(own.shape)
      guard rank < fullRank else {
        converted = own.canonical(ofFullRank: rank)
        break
      }
      let calibration = try calibration.map { try RecurrentCalibration(own, text: $0, workers: workers) }
      let layer = try own.fitted(rank: rank, calibration, seed: seed)
      (converted, discrepancy) = (layer.model, layer.discrepancy)
    default:
      throw refused(
        "a \(own.shape.kind.rawValue) has no such form",
        "expected rnn, mirnn or cprnn to 2rnn, mirnn to cprnn, cpbirnn to birnn, 2rnn to cprnn, or birnn to cpbirnn")
    }
    if discrepancy == nil, rank ?? converted.shape.rank != converted.shape.rank {
      throw refused("the conversion is exact and gives the rank \(converted.shape.rank)", "leave --rank out")
    }
    if discrepancy == nil, calibration != nil, own.shape.kind.bilinear != .tensor {
      throw refused("the conversion is exact and needs no text", "leave --calibration out")
    }
    try RecurrentFile.write(converted, to: output, overwrite: overwrite)
    return RecurrentConversion(
      output: output, shape: converted.shape, discrepancy: discrepancy, notices: file.notices)
  }
}

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

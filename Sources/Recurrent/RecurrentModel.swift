import Basics
import TensorCore

/// A character model: its parameters and the symbols that it knows.
package struct RecurrentModel: Sendable, Equatable {
  package let shape: RecurrentShape
  package let vocabulary: Vocabulary
  /// The parameters by name (`RecurrentParameter`), in the shapes of `RecurrentShape.extents`.
  package var parameters: [String: Tensor<Float>]

  /// - Precondition: the parameters are those of the shape, and the vocabulary has as many symbols as the network.
  package init(_ shape: RecurrentShape, _ vocabulary: Vocabulary, parameters: [RecurrentParameter: Tensor<Float>]) {
    precondition(vocabulary.count == shape.inputs, "\(vocabulary.count) symbols for \(shape.inputs) inputs")
    precondition(
      Set(shape.parameters) == Set(parameters.keys)
        && shape.parameters.allSatisfy { parameters[$0]?.shape == shape.extents(of: $0) },
      "the parameters are not those of \(shape)")
    self.shape = shape
    self.vocabulary = vocabulary
    self.parameters = Dictionary(uniqueKeysWithValues: parameters.map { ($0.rawValue, $1) })
  }

  /// Every parameter uniform in [-1 / sqrt n, 1 / sqrt n], as published.
  package init(_ shape: RecurrentShape, _ vocabulary: Vocabulary, seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let bound = 1 / Double(shape.hidden).squareRoot()
    var parameters: [RecurrentParameter: Tensor<Float>] = [:]
    for parameter in shape.parameters {
      let extents = shape.extents(of: parameter)
      parameters[parameter] = Tensor(
        shape: extents,
        elements: (0..<extents.reduce(1, *)).map { _ in Float(bound * (2 * generator.nextUniform() - 1)) })
    }
    self.init(shape, vocabulary, parameters: parameters)
  }

  /// - Precondition: the shape has the parameter.
  package subscript(parameter: RecurrentParameter) -> Tensor<Float> {
    guard let tensor = parameters[parameter.rawValue] else {
      preconditionFailure("\(shape.kind) has no '\(parameter.rawValue)'")
    }
    return tensor
  }

  /// Whether all parameters are finite.
  package var isFinite: Bool { parameters.values.allSatisfy(\.isFinite) }
}

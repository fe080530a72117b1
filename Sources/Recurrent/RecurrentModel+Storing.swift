import Basics
import TensorCore

extension RecurrentModel {
  /// The metadata key of what a file tells about its network (docs/formats.md).
  package static let metadataKey = "recurrent"
  private static let schema = "kcompress.recurrent/1"
  /// More in any direction is no network but a damaged file.
  private static let largestExtent = 1 << 16

  /// The dimensions and the vocabulary, for the file's metadata.
  package var description: JSON {
    var text = ""
    text.unicodeScalars.append(contentsOf: vocabulary.scalars)
    return [
      "schema": .string(Self.schema), "model": .string(shape.kind.rawValue), "hidden": .integer(shape.hidden),
      "inputs": .integer(shape.inputs), "rank": .integer(shape.rank), "vocabulary": .string(text),
    ]
  }

  /// The tensors as files hold them.
  package var stored: [StoredTensor] {
    shape.parameters.map { parameter in
      StoredTensor(name: parameter.rawValue, parameter.stored(self[parameter]), as: .f32)
    }
  }

  /// A network as a file gives it.
  ///
  /// - Parameters:
  ///   - description: the file's metadata.
  ///   - tensors: all that it holds.
  /// - Throws: `Failure` where the two disagree, naming tensor and shapes, and where a number is NaN or infinite.
  package init(_ description: JSON, tensors: [StoredTensor]) throws {
    let (shape, vocabulary) = try Self.dimensions(description)
    let named = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    var parameters: [RecurrentParameter: Tensor<Float>] = [:]
    for parameter in shape.parameters {
      let expected = shape.storedExtents(of: parameter)
      guard let tensor = named[parameter.rawValue] else {
        throw Failure(
          "tensor '\(parameter.rawValue)'", "is missing", "the file says that it holds a \(shape.kind.rawValue)",
          remedy: "expected it with the shape \(expected)")
      }
      guard tensor.shape == expected else {
        throw Failure(
          "tensor '\(parameter.rawValue)'", "disagrees with the dimensions of the file",
          "its shape is \(tensor.shape), and the metadata states hidden \(shape.hidden), inputs \(shape.inputs)"
            + (shape.rank > 0 ? ", rank \(shape.rank)" : ""),
          remedy: "expected \(expected)")
      }
      let values = parameter.loaded(try tensor.decoded(as: Float.self), shape)
      guard values.isFinite else {
        throw Failure(
          "tensor '\(parameter.rawValue)'", "cannot be used", "it holds NaN or infinite values",
          remedy: "train the model again")
      }
      parameters[parameter] = values
    }
    if let other = tensors.first(where: { RecurrentParameter(rawValue: $0.name).map { parameters[$0] == nil } ?? true })
    {
      throw Failure(
        "tensor '\(other.name)'", "is unknown", "a \(shape.kind.rawValue) has no such tensor",
        remedy: "expected \(shape.parameters.map(\.rawValue).joined(separator: ", "))")
    }
    self.init(shape, vocabulary, parameters: parameters)
  }

  /// The dimensions and the vocabulary that the metadata states.
  ///
  /// - Throws: `Failure` where something is missing or malformed.
  package static func dimensions(_ description: JSON) throws -> (RecurrentShape, Vocabulary) {
    func damaged(_ reason: String, _ remedy: String? = nil) -> Failure {
      Failure("metadata '\(metadataKey)'", "is damaged", reason, remedy: remedy)
    }
    guard description["schema"]?.string == schema else {
      throw damaged("its schema is not '\(schema)'")
    }
    guard let kind = description["model"]?.string.flatMap(RecurrentShape.Kind.init(rawValue:)) else {
      throw damaged(
        "its model is unknown",
        "expected one of \(RecurrentShape.Kind.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    func extent(_ key: String, from least: Int) throws -> Int {
      guard let value = description[key]?.integer, (least...largestExtent).contains(value) else {
        throw damaged("'\(key)' is missing or malformed", "expected a whole number from \(least) to \(largestExtent)")
      }
      return value
    }
    let (hidden, inputs) = (try extent("hidden", from: 1), try extent("inputs", from: 1))
    let rank = try extent("rank", from: 0)
    guard (rank > 0) == kind.hasRank else { throw damaged("a \(kind.rawValue) has the rank \(rank)") }
    guard let scalars = description["vocabulary"]?.string.map({ Array($0.unicodeScalars) }),
      Set(scalars).count == scalars.count
    else { throw damaged("'vocabulary' is no text of different characters") }
    guard scalars.count + 1 == inputs else {
      throw damaged(
        "its vocabulary has \(scalars.count) characters and the network \(inputs) inputs",
        "expected one input more than characters, for unknown ones")
    }
    return (RecurrentShape(kind, hidden: hidden, inputs: inputs, rank: rank), Vocabulary(scalars))
  }
}

extension RecurrentParameter {
  /// The tensor as files hold it: input symbols come last, and the factors of the third-order tensor are the kernels of a
  /// factored convolution.
  fileprivate func stored(_ tensor: Tensor<Float>) -> Tensor<Float> {
    switch self {
    case .input: tensor.permuted([1, 0])
    case .tensor: tensor.permuted([1, 2, 0])
    case .stateFactor, .outputFactor: tensor.reshaped(tensor.shape + [1])
    case .inputFactor: tensor.permuted([1, 0]).reshaped([tensor.shape[1], 1, tensor.shape[0]])
    case .hidden, .bias, .alpha, .beta1, .beta2, .decoder, .decoderBias: tensor
    }
  }

  /// Undoes `stored`.
  fileprivate func loaded(_ tensor: Tensor<Float>, _ shape: RecurrentShape) -> Tensor<Float> {
    switch self {
    case .input: tensor.permuted([1, 0])
    case .tensor: tensor.permuted([2, 0, 1])
    case .inputFactor: tensor.permuted([2, 0, 1]).reshaped(shape.extents(of: self))
    case .stateFactor, .outputFactor, .hidden, .bias, .alpha, .beta1, .beta2, .decoder, .decoderBias:
      tensor.reshaped(shape.extents(of: self))
    }
  }
}

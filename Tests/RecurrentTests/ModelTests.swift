import Basics
import TensorCore
import Testing

@testable import Recurrent

@Suite struct ModelTests {
  /// The formulas of the paper (papers: CPRNN), n the state, d the inputs, R the rank.
  @Test func parameterCountsFollowTheFormulas() {
    for (n, d, r) in [(75, 101, 34), (128, 66, 192), (1, 2, 1)] {
      func count(_ kind: RecurrentShape.Kind) -> Int {
        RecurrentShape(kind, hidden: n, inputs: d, rank: kind.hasRank ? r : 0).parameterCount
      }
      let decoder = n * d + d
      #expect(count(.rnn) == d * n + n * n + n + decoder)
      #expect(count(.mirnn) == d * n + n * n + n + decoder + 3 * n)
      #expect(count(.secondOrder) == (n + 1) * (d + 1) * n + decoder)
      #expect(count(.cprnn) == (2 * n + d) * r + d * n + n * n + n + decoder)
      #expect(count(.birnn) == n * n * d + n + decoder)
      #expect(count(.cpbirnn) == (2 * n + d) * r + n + decoder)
    }
  }

  @Test func theLargestNetworkFits() {
    for kind in RecurrentShape.Kind.allCases {
      let rank = kind.hasRank ? 7 : 0
      let shape = RecurrentShape.largest(kind, inputs: 66, rank: rank, parameters: 29_500)
      let found = shape.map { $0.parameterCount } ?? 0
      let next = shape.map {
        RecurrentShape(kind, hidden: $0.hidden + 1, inputs: 66, rank: rank).parameterCount
      }
      #expect(found > 0 && found <= 29_500 && next ?? 0 > 29_500)
    }
    #expect(RecurrentShape.largest(.rnn, inputs: 66, parameters: 100) == nil)
  }

  @Test(arguments: RecurrentShape.Kind.allCases)
  func comesBackFromItsFile(kind: RecurrentShape.Kind) throws {
    let model = Toy(kind).model
    let stored = model.stored
    for (tensor, parameter) in zip(stored, model.shape.parameters) {
      #expect(tensor.shape == model.shape.storedExtents(of: parameter))
    }
    #expect(try RecurrentModel(model.description, tensors: stored.reversed()) == model)
  }

  /// Symbols beyond the vocabulary are one symbol, and come out as the replacement character.
  @Test func vocabularies() {
    let vocabulary = Vocabulary(of: "hello\r\n wörld")
    #expect(vocabulary.count == 12)
    let numbers = vocabulary.encode("wörds?")
    #expect(numbers.map { vocabulary[$0] }.map(String.init).joined() == "wörd\u{FFFD}\u{FFFD}")
  }

  @Test(arguments: [
    ("hidden", JSON.integer(0), "'hidden' is missing or malformed"),
    ("hidden", .integer(1 << 40), "'hidden' is missing or malformed"),
    ("hidden", .integer(7), "disagrees with the dimensions of the file"),
    ("rank", .integer(0), "has the rank 0"),
    ("rank", .integer(5), "disagrees with the dimensions of the file"),
    ("inputs", .integer(9), "its vocabulary has 4 characters and the network 9 inputs"),
    ("vocabulary", .string("abca"), "no text of different characters"),
    ("vocabulary", .null, "no text of different characters"),
    ("model", .string("lstm"), "its model is unknown"),
    ("model", .string("rnn"), "has the rank 4"),
    ("model", .string("cpbirnn"), "is unknown: a cpbirnn has no such tensor"),
    ("schema", .null, "its schema is not"),
  ])
  func refuses(_ key: String, _ value: JSON, _ message: String) throws {
    let model = Toy(.cprnn).model
    var description = try #require(model.description.object)
    description[key] = value
    let failure = #expect(throws: Failure.self) {
      try RecurrentModel(.object(description), tensors: model.stored)
    }
    #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
  }

  @Test func refusesMissingAndInfiniteTensors() throws {
    let model = Toy(.cprnn).model
    let missing = #expect(throws: Failure.self) {
      try RecurrentModel(model.description, tensors: Array(model.stored.dropFirst()))
    }
    #expect(missing?.description.contains("tensor 'hidden': is missing") == true)
    let infinite = model.stored.map { tensor in
      tensor.name == "bias"
        ? StoredTensor(
          name: "bias", Tensor<Float>(shape: [6], elements: Array(repeating: .infinity, count: 6)), as: .f32) : tensor
    }
    #expect(throws: Failure.self) { try RecurrentModel(model.description, tensors: infinite) }
  }
}

import Foundation
import ModelGraph
import TensorCore

/// Fourier transforms as products with cosines and sines, and the windows before them.
extension ONNXOperators {
  static let spectra: [String: Converter] = [
    "HannWindow": window([0.5, -0.5]), "HammingWindow": window([25.0 / 46, -21.0 / 46]),
    "BlackmanWindow": window([0.42, -0.5, 0.08]),
    "STFT": { conversion in
      let node = conversion.node
      let signal = try conversion.operand(0)
      let (hasWindow, hasLength) = (node.input(2) != nil, node.input(3) != nil)
      guard hasWindow || hasLength else { throw node.failure("it has neither a window nor a frame_length") }
      let size =
        hasLength
        ? conversion.reshaped(try conversion.operand(3), [])
        : conversion.reshaped(conversion.value(.size, [try conversion.operand(2)]), [])
      let step = conversion.reshaped(try conversion.operand(1), [])
      let last = conversion.combine(.subtract, conversion.reshaped(conversion.extent(signal, 1), []), size)
      let count = conversion.combine(
        .add, conversion.combine(.integerDivide, last, step), conversion.number(1))
      // The places of the frames: (frames, 1) + (size).
      let starts = conversion.combine(
        .multiply, conversion.reshaped(conversion.counting(count), [-1, 1]), step)
      let places = conversion.combine(.add, starts, conversion.counting(size))
      var frames = conversion.value(.gather(axis: 1), [signal, places])
      if hasWindow {
        let window = conversion.reshaped(try conversion.operand(2), [-1, 1])
        frames = conversion.combine(.multiply, frames, window)
      }
      let isOneSided = node.int("onesided", default: 1) != 0
      conversion.emit(
        .identity, [transform(conversion, frames, count: size, length: size, isOneSided: isOneSided, isInverse: false)])
    },
    "DFT": { conversion in
      let node = conversion.node
      // From version 20 on the axis is an input.
      let stated =
        node.opset < 20 ? node.int("axis", default: 1) : try node.number(2).flatMap(Int.init(clampingTruncated:))
      guard let axis = node.input(2) == nil && node.opset >= 20 ? -2 : stated else {
        return conversion.refuse("along an axis that other nodes compute")
      }
      let isInverse = node.int("inverse", default: 0) != 0
      let isOneSided = node.int("onesided", default: 0) != 0
      guard axis == -2 || axis == 1, !(isInverse && isOneSided) else {
        return conversion.refuse(isInverse ? "that goes back from one side" : "along axis \(axis)")
      }
      // (batch, ..., steps, parts); axis 1 is the same where there are three axes, and else does not fit.
      let given = try conversion.operand(0)
      let input = axis == 1 ? conversion.value(.transpose(order: [0, 1, 2]), [given]) : given
      let extent = conversion.reshaped(conversion.extent(input, -2), [])
      let length = try node.input(1).map { conversion.reshaped(try conversion.builder.operand($0), []) } ?? extent
      let count = conversion.combine(.minimum, extent, length)
      let steps = conversion.value(.gather(axis: -2), [input, conversion.counting(count)])
      conversion.emit(
        .identity,
        [transform(conversion, steps, count: count, length: length, isOneSided: isOneSided, isInverse: isInverse)])
    },
  ]

  /// Sums of cosines of multiples of the place.
  private static func window(_ terms: [Double]) -> Converter {
    { conversion in
      let size = conversion.reshaped(try conversion.operand(0), [])
      let isPeriodic = conversion.node.int("periodic", default: 1) != 0
      let length = isPeriodic ? size : conversion.combine(.subtract, size, conversion.number(1))
      let angle = conversion.combine(
        .divide, conversion.combine(.multiply, conversion.counting(size), conversion.number(2 * .pi)), length)
      var sum = conversion.number(terms[0])
      for (order, factor) in terms.enumerated().dropFirst() {
        let multiple = conversion.combine(.multiply, angle, conversion.number(Double(order)))
        let term = conversion.combine(.multiply, conversion.apply(.cosine, multiple), conversion.number(factor))
        sum = conversion.combine(.add, sum, term)
      }
      conversion.emit(.identity, [sum])
    }
  }

  /// The transform along the last axis but one of values whose last axis holds a real part and perhaps an imaginary one.
  ///
  /// - Parameters:
  ///   - count: the steps that are there.
  ///   - length: the steps of the transform; those that are not there count as zeros.
  private static func transform(
    _ conversion: ONNXConversion, _ value: String, count: String, length: String, isOneSided: Bool, isInverse: Bool
  ) -> String {
    func part(_ index: Int) -> String {
      let slice = conversion.value(
        .slice,
        [value, conversion.literal([index]), conversion.literal([index + 1]), conversion.literal([-1])])
      // An imaginary part that is not there is an empty sum.
      return conversion.value(
        .reduce(.sum, keepsAxes: false, ignoresMissingAxes: false), [slice, conversion.literal([-1])])
    }
    let bins =
      isOneSided
      ? conversion.combine(
        .add, conversion.combine(.integerDivide, length, conversion.number(2)), conversion.number(1)) : length
    // Step times bin modulo length, in two parts, so that no product is too large for single precision up to 32768 steps.
    let steps = conversion.reshaped(conversion.counting(count), [-1, 1])
    func turns(_ kind: Elementwise) -> String {
      let part = conversion.combine(kind, steps, conversion.number(64))
      return conversion.combine(.modulo, conversion.combine(.multiply, part, conversion.counting(bins)), length)
    }
    let coarse = conversion.combine(.multiply, turns(.integerDivide), conversion.number(64))
    let turns = conversion.combine(.modulo, conversion.combine(.add, coarse, turns(.modulo)), length)
    let angle = conversion.combine(
      .divide, conversion.combine(.multiply, turns, conversion.number(isInverse ? 2 * .pi : -2 * .pi)), length)
    let (cosine, sine) = (conversion.apply(.cosine, angle), conversion.apply(.sine, angle))
    let (real, imaginary) = (part(0), part(1))
    func product(_ a: String, _ b: String) -> String { conversion.value(.matrixProduct, [a, b]) }
    let results = [
      conversion.combine(.subtract, product(real, cosine), product(imaginary, sine)),
      conversion.combine(.add, product(real, sine), product(imaginary, cosine)),
    ].map { conversion.value(.unsqueeze, [$0, conversion.literal([-1])]) }
    let both = conversion.value(.concatenate(axis: -1), results)
    return isInverse ? conversion.combine(.divide, both, length) : both
  }

  /// Operators that are refused for what they are.
  static let refusals: [String: Converter] = [
    "random numbers": [
      "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    ],
    "sequences": [
      "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
      "SequenceLength", "SequenceMap", "SplitToSequence", "Optional", "OptionalGetElement", "OptionalHasElement",
    ],
    "training": ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
    "text": ["RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"],
    "branches that the data decide": ["If"], "bodies that run as often as the data say": ["Loop", "Scan"],
    "a shape that depends on the data": ["NonZero", "Unique", "NonMaxSuppression"],
  ].reduce(into: [:]) { table, family in
    for type in family.value { table[type] = { $0.refuse("an operator of " + family.key) } }
  }
}

extension ONNXConversion {
  /// The numbers from 0 on, as many as a single number says.
  fileprivate func counting(_ count: String) -> String {
    value(.range, [number(0), count, number(1)])
  }
}

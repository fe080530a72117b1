import Basics
import TensorCore

/// The shape that an operation gives to its output, with nil for an extent that the model leaves open.
///
/// This is the one place that decides whether an operation fits its inputs: whoever runs the graph relies on it.
extension Operation {
  /// The shape of the output; nil for what cannot be run, of whose output nothing is known.
  ///
  /// - Throws: `Failure` with an empty subject when the operation does not fit its inputs.
  public func outputShape(of inputs: [[Int?]]) throws -> [Int?]? {
    if case .unsupported = self { return nil }
    if case .array(let operation) = self { return try operation.output(of: inputs.map { KnownValue($0) })?.shape }
    if case .merge(let merge) = self { return try merge.outputShape(of: inputs) }
    guard inputs.count == 1, let input = inputs.first, !input.isEmpty || takesNumbers else {
      throw misfit("it has \(inputs.count) inputs", "expected 1 with a batch axis")
    }
    switch self {
    case .convolution(let convolution, let layout, _, _):
      return try convolution.outputShape(of: input, layout)
    case .transposedConvolution(let convolution):
      return try convolution.outputShape(of: input)
    case .pooling(let pooling):
      return try pooling.outputShape(of: input)
    case .globalPooling(_, let layout, let keepsAxes):
      guard input.count >= 3 else { throw misfit("it has no spatial axis", nil) }
      let spatial = layout.spatialAxes(rank: input.count)
      return input.indices.compactMap { axis in
        spatial.contains(axis) ? (keepsAxes ? .some(1) : nil) : .some(input[axis])
      }
    case .activation(.glu(let axis)):
      let axis = try input.axis(axis)
      guard let extent = input[axis] else { return input }
      guard extent % 2 == 0 else { throw misfit("axis \(axis) has \(extent) entries", "expected an even count") }
      return input.replacing(axis, extent / 2)
    case .activation(.softmax(let axis)), .activation(.logSoftmax(let axis)), .activation(.sparsemax(let axis)),
      .batchNormalization(let axis, _, _, _, _, _):
      _ = try input.axis(axis)
      return input
    case .layerNormalization(let axes, _, _, _), .normalization(let axes, _, _):
      let distinct = Set(try axes.map { try input.axis($0) })
      guard distinct.count == axes.count else { throw misfit("\(axes) repeats an axis", nil) }
      return input
    case .padding(let before, let after, _):
      return try input.withBorder(before, after, sign: 1)
    case .cropping(let before, let after):
      return try input.withBorder(before, after, sign: -1)
    case .upsampling(let factors, let interpolation, let layout):
      return try input.upsampled(factors, interpolation, layout)
    case .reshape(let extents):
      return try input.reshaped(extents)
    case .permutation(let order):
      guard order.sorted() == Array(input.indices), order.first == 0 else {
        throw misfit("\(order) is no order of its \(input.count) axes", "expected the batch first")
      }
      return order.map { input[$0] }
    case .channelPermutation(let axes, let order, let layout):
      guard order.sorted() == Array(axes.indices), let channels = axes.productIfExact else {
        throw misfit("\(order) is no order of \(axes)", nil)
      }
      try input.check(channels: channels, layout)
      return input
    case .repetition(let count):
      guard input.count == 2, (0...Int(Int32.max)).contains(count) else {
        throw misfit("it has \(input.count) axes", "expected 2: batch and features")
      }
      return [input[0], count, input[1]]
    case .activation, .parametricReLU, .scaling, .bias, .identity, .merge, .array, .unsupported:
      return input
    }
  }
}

extension Operation {
  /// Whether the operation works on a single number without any axis, too.
  private var takesNumbers: Bool {
    switch self {
    case .identity: true
    case .activation(let activation): activation.isElementwise
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .parametricReLU, .pooling,
      .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization,
      .repetition, .channelPermutation, .bias, .array, .unsupported:
      false
    }
  }
}

/// The failure of an operation that does not fit; whoever knows the layer adds its name.
func misfit(_ reason: String, _ remedy: String?) -> Failure {
  Failure("", "does not fit its input", reason, remedy: remedy)
}

extension [Int?] {
  fileprivate func withBorder(_ before: [Int], _ after: [Int], sign: Int) throws -> [Int?] {
    guard before.count == count, after.count == count,
      (before + after).allSatisfy({ (0...Int(Int32.max)).contains($0) })
    else { throw misfit("a border of \(before) and \(after)", "expected two extents for each of \(count) axes") }
    return try indices.map { axis in
      guard let extent = self[axis] else { return nil }
      let result = extent + sign * (before[axis] + after[axis])
      guard result >= 0 else { throw misfit("axis \(axis) has \(extent) entries and loses more", nil) }
      return result
    }
  }

  fileprivate func upsampled(
    _ factors: [Int], _ interpolation: Interpolation, _ layout: ChannelLayout
  ) throws -> [Int?] {
    try checkRank(factors.count)
    guard factors.allSatisfy({ (1...Int(Int32.max)).contains($0) }) else {
      throw misfit("it grows by \(factors)", "expected positive factors")
    }
    var result = self
    for (axis, factor) in zip(layout.spatialAxes(rank: count), factors) {
      guard let extent = self[axis] else { continue }
      let (product, overflow) = extent.multipliedReportingOverflow(by: factor)
      guard !overflow else { throw misfit("axis \(axis) becomes too long", nil) }
      result[axis] = product
    }
    return result
  }

  fileprivate func reshaped(_ extents: [Int]) throws -> [Int?] {
    let open = extents.indices.filter { extents[$0] == -1 }
    guard open.count <= 1, extents.allSatisfy({ $0 >= -1 }),
      let known = extents.filter({ $0 != -1 }).productIfExact
    else { throw misfit("\(extents) is no shape", "expected positive extents, at most one -1") }
    let rest = dropFirst().compactMap(\.self)
    guard rest.count == count - 1, let total = rest.productIfExact else {
      return [self[0]] + extents.map { $0 == -1 ? nil : $0 }
    }
    guard open.isEmpty ? known == total : known > 0 && total % known == 0 else {
      throw misfit("\(rest) cannot become \(extents)", "expected the same count of elements")
    }
    return [self[0]] + extents.map { $0 == -1 ? total / known : $0 }
  }
}

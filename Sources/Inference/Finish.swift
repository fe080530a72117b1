import Basics
import ModelGraph
import TensorCore

/// The function y = x * scale + offset with one pair for every channel.
struct ChannelAffine: Sendable {
  /// The scale of each channel; nil is 1 everywhere.
  var scale: [Float]?
  var offset: [Float]

  /// Batch normalization with stored statistics; in double precision, because the variance may be tiny.
  static func normalization(
    epsilon: Double, gamma: Tensor<Float>?, beta: Tensor<Float>?, mean: Tensor<Float>, variance: Tensor<Float>
  ) throws -> ChannelAffine {
    let count = mean.count
    for case let parameter? in [gamma, beta, variance] where parameter.count != count {
      throw misfit("\(count) means and \(parameter.count) other values", "expected equal counts")
    }
    let scale = (0..<count).map { channel in
      Double(gamma?.elements[channel] ?? 1) / (Double(variance.elements[channel]) + epsilon).squareRoot()
    }
    let offset = (0..<count).map { channel in
      Double(beta?.elements[channel] ?? 0) - Double(mean.elements[channel]) * scale[channel]
    }
    return ChannelAffine(scale: scale.map { Float($0) }, offset: offset.map { Float($0) })
  }

  /// `self` first, then `next`.
  func followed(by next: ChannelAffine) -> ChannelAffine? {
    guard next.offset.count == offset.count else { return nil }
    guard let outer = next.scale else {
      return ChannelAffine(scale: scale, offset: zip(offset, next.offset).map { $0 + $1 })
    }
    return ChannelAffine(
      scale: scale.map { zip($0, outer).map { $0 * $1 } } ?? outer,
      offset: offset.indices.map { offset[$0] * outer[$0] + next.offset[$0] })
  }
}

/// What happens to a finished output: an affine function for each channel, then an activation.
struct Finish: Sendable {
  private(set) var affine: ChannelAffine?
  private(set) var activation: Activation?

  init(_ affine: ChannelAffine? = nil) { self.affine = affine }

  init(_ activation: Activation) { self.activation = activation == .linear ? nil : activation }

  /// The channels that the affine function counts; nil without one.
  var channelCount: Int? { affine?.offset.count }

  /// Takes a later affine function in.
  ///
  /// - Returns: False where its channels are not as many.
  /// - Precondition: There is no activation yet.
  mutating func append(_ next: ChannelAffine) -> Bool {
    precondition(activation == nil, "an affine function behind an activation is a pass of its own")
    guard let affine else {
      self.affine = next
      return true
    }
    guard let both = affine.followed(by: next) else { return false }
    self.affine = both
    return true
  }

  /// Takes a later activation in.
  ///
  /// - Precondition: The activation is element-wise and the first that is not linear.
  mutating func append(_ next: Activation) {
    precondition(next.isElementwise && (activation == nil || next == .linear), "\(next) is a pass of its own")
    if next != .linear { activation = next }
  }

  /// Finishes a block of whole rows, each with all channels.
  func apply(toRows block: inout MutableSpan<Float>) {
    if let affine {
      let channels = affine.offset.count
      let offset = affine.offset.span
      if let scale = affine.scale {
        let scale = scale.span
        for start in stride(from: 0, to: block.count, by: channels) {
          block.withPart(start..<start + channels) { row in
            for i in 0..<channels { row[i] = row[i] * scale[i] + offset[i] }
          }
        }
      } else {
        for start in stride(from: 0, to: block.count, by: channels) {
          block.withPart(start..<start + channels) { row in
            for i in 0..<channels { row[i] += offset[i] }
          }
        }
      }
    }
    activation?.apply(to: &block)
  }

  /// Finishes elements that all belong to one channel.
  func apply(to run: inout MutableSpan<Float>, channel: Int) {
    if let affine {
      let scale = affine.scale?[channel] ?? 1
      let offset = affine.offset[channel]
      for i in 0..<run.count { run[i] = run[i] * scale + offset }
    }
    activation?.apply(to: &run)
  }

  /// Finishes a whole value with its channels on `axis`.
  func apply(to value: inout Value, axis: Int) throws {
    let channels = value.shape[axis]
    if let channelCount, channelCount != channels {
      throw misfit("\(channelCount) values for \(channels) channels", "expected one for each channel")
    }
    let inner = value.shape[(axis + 1)...].reduce(1, *)
    guard channels * inner > 0 else { return }
    var elements = value.elements.mutableSpan
    if affine == nil || inner == 1 {
      // A block stays in cache between the passes.
      let block = channels * max(1, 4096 / channels)
      for start in stride(from: 0, to: elements.count, by: block) {
        elements.withPart(start..<min(start + block, elements.count)) { apply(toRows: &$0) }
      }
    } else {
      for (run, start) in stride(from: 0, to: elements.count, by: inner).enumerated() {
        elements.withPart(start..<start + inner) { apply(to: &$0, channel: run % channels) }
      }
    }
  }
}

/// Batch normalization, a bias or an element-wise activation on its own.
struct ChannelwiseComputation: FinishingComputation {
  let axis: Int
  var finish: Finish

  func channelAxis(rank: Int) -> Int { axis.normalizedAxis(rank: rank) }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    // A single number is a row of one.
    if outputShape.isEmpty { value.shape = [1] }
    try finish.apply(to: &value, axis: channelAxis(rank: value.shape.count))
    value.shape = outputShape
    return value
  }
}

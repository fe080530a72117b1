import Basics
import ModelGraph

extension JSON {
  /// A list of stages, which say how to run a layer:
  ///
  ///     {"stage":"convolution","kernel":[8,4,3,3],"groups":1,"batch":1,"stride":[1,1],"dilation":[1,1],"padding":"same"}
  ///     {"stage":"permutation","axes":[2,4],"order":[1,0]}
  ///     {"stage":"bias","channels":8}
  ///
  /// A transposed convolution has `"transposed":true` and, where its output padding is stated, `"output_padding":[0,1]`.
  /// Padding is `valid`, `same`, `same_lower`, `causal` or `{"before":[1,1],"after":[1,1]}`.
  package init(stages: [Stage]) {
    self = .array(stages.map(JSON.init(stage:)))
  }

  private init(stage: Stage) {
    switch stage {
    case .convolution(let convolution):
      var object: JSONObject = [
        "stage": "convolution", "kernel": .integers(convolution.kernelShape),
        "groups": .integer(convolution.groups), "batch": .integer(convolution.batch),
        "stride": .integers(convolution.window.stride),
        "dilation": .integers(convolution.window.dilation),
        "padding": JSON(padding: convolution.window.padding),
      ]
      if let transposition = convolution.transposition {
        object["transposed"] = true
        object["output_padding"] = transposition.outputPadding.map { .integers($0) }
      }
      self = .object(object)
    case .permutation(let axes, let order):
      self = ["stage": "permutation", "axes": .integers(axes), "order": .integers(order)]
    case .bias(let channels):
      self = ["stage": "bias", "channels": .integer(channels)]
    }
  }

  private init(padding: Padding) {
    switch padding {
    case .valid: self = "valid"
    case .same: self = "same"
    case .sameLower: self = "same_lower"
    case .causal: self = "causal"
    case .explicit(let before, let after):
      self = ["before": .integers(before), "after": .integers(after)]
    }
  }
}

extension [Stage] {
  /// Reads a list of stages, and proves that it can be run: every number is in range, and every stage takes as many channels as
  /// the one before it gives.
  ///
  /// - Throws: `Failure` whose subject is the stage, for the caller to add where the list stands.
  package init(parsing json: JSON) throws {
    guard let items = json.array, !items.isEmpty else {
      throw Failure("stages", "are invalid", "they are no array with at least one stage")
    }
    self = []
    var channels: Int?
    for (position, item) in items.enumerated() {
      let reader = StageReader(json: item, position: position)
      let stage = try reader.stage()
      channels = try reader.check(stage, inputChannels: channels)
      append(stage)
    }
    let biasCount = count { if case .bias = $0 { true } else { false } }
    guard biasCount <= 1 else {
      throw Failure("stages", "are invalid", "they add the bias \(biasCount) times")
    }
  }
}

/// Reads one stage with every number checked before it reaches the arithmetic of `Convolution`.
private struct StageReader {
  /// No extent of a real network is larger, and products of two do not overflow.
  static let limit = Int(Int32.max)

  let json: JSON
  let position: Int

  func stage() throws -> Stage {
    switch json["stage"]?.string {
    case "convolution": return .convolution(try convolution())
    case "permutation":
      let axes = try positives("axes")
      guard let order = json["order"]?.integers, order.sorted() == Array(axes.indices) else {
        throw failure("'order' is no permutation of its \(axes.count) axes")
      }
      return .permutation(axes: axes, order: order)
    case "bias": return .bias(channels: try positive("channels"))
    case let name: throw failure("its kind is \(name.map { "'\($0)'" } ?? "missing")")
    }
  }

  /// The channels that the stage gives, after proof that it fits those that it gets.
  func check(_ stage: Stage, inputChannels: Int?) throws -> Int {
    let (takes, gives): (Int?, Int?) =
      switch stage {
      case .convolution(let convolution):
        (
          product([convolution.batch, convolution.groups, convolution.kernelShape[1]]),
          product([convolution.batch, convolution.kernelShape[0]])
        )
      case .permutation(let axes, _): (product(axes), product(axes))
      case .bias(let channels): (channels, channels)
      }
    guard let takes, let gives else { throw failure("its channels are more than \(Self.limit)") }
    if let inputChannels, inputChannels != takes {
      throw failure("it takes \(takes) channels, and the stage before it gives \(inputChannels)")
    }
    return gives
  }

  private func convolution() throws -> Convolution {
    let kernel = try positives("kernel")
    guard kernel.count >= 2, product(kernel) != nil else {
      throw failure("its kernel \(kernel) is too large or has fewer than 2 modes")
    }
    let groups = try positive("groups")
    guard kernel[0] % groups == 0 else {
      throw failure("\(groups) groups do not divide its \(kernel[0]) output channels")
    }
    let stride = try positives("stride")
    let dilation = try positives("dilation")
    guard stride.count == kernel.count - 2, dilation.count == stride.count else {
      throw failure("'stride' and 'dilation' need \(kernel.count - 2) numbers each")
    }
    let batch = try positive("batch")
    return Convolution(
      kernelShape: kernel, groups: groups, batch: batch,
      window: Window(
        stride: stride, dilation: dilation, padding: try padding(spatialOrder: stride.count)),
      transposition: try transposition(kernel: kernel, groups: groups, batch: batch))
  }

  /// Nil for a convolution that is not transposed.
  private func transposition(kernel: [Int], groups: Int, batch: Int) throws -> Convolution.Transposition? {
    guard json["transposed"]?.bool == true else { return nil }
    guard kernel.count > 2, batch == 1, groups == 1 || kernel[1] == 1 else {
      throw failure("a transposed convolution has spatial axes, batch 1, and one group or one input channel in each")
    }
    guard let stated = json["output_padding"] else { return Convolution.Transposition(outputPadding: nil) }
    guard let amounts = stated.integers, amounts.count == kernel.count - 2,
      amounts.allSatisfy({ (0...Self.limit).contains($0) })
    else { throw failure("'output_padding' needs \(kernel.count - 2) numbers") }
    return Convolution.Transposition(outputPadding: amounts)
  }

  private func padding(spatialOrder: Int) throws -> Padding {
    switch json["padding"] {
    case .string("valid"): return .valid
    case .string("same"): return .same
    case .string("same_lower"): return .sameLower
    case .string("causal"): return .causal
    case .object(let object):
      guard let before = object["before"]?.integers, let after = object["after"]?.integers,
        before.count == spatialOrder, after.count == spatialOrder,
        (before + after).allSatisfy({ (0...Self.limit).contains($0) })
      else { throw failure("'padding' needs \(spatialOrder) numbers before and after") }
      return .explicit(before: before, after: after)
    default: throw failure("its padding is unknown")
    }
  }

  private func positive(_ key: String) throws -> Int {
    guard let value = json[key]?.integer, (1...Self.limit).contains(value) else {
      throw failure("'\(key)' is no whole number of 1 to \(Self.limit)")
    }
    return value
  }

  private func positives(_ key: String) throws -> [Int] {
    guard let values = json[key]?.integers,
      values.allSatisfy({ (1...Self.limit).contains($0) })
    else { throw failure("'\(key)' is no array of whole numbers of 1 to \(Self.limit)") }
    return values
  }

  /// Nil when the product leaves the range.
  private func product(_ factors: [Int]) -> Int? {
    factors.reduce(1 as Int?) { product, factor in
      guard let product, product * factor <= Self.limit else { return nil }
      return product * factor
    }
  }

  private func failure(_ reason: String) -> Failure {
    Failure("stage \(position)", "is invalid", reason)
  }
}

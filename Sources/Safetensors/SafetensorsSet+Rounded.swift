import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// Weights as integers with scales, in a safetensors file: `conv1.0.weight` and `conv1.0.weight.scale`.
///
/// Integers of 8 bits are an I8 tensor of the weight's shape. Narrower ones are packed without gaps into a U8 tensor of one axis
/// (`RoundedTensor.packed`). Scales are BF16, one for each output channel; a weight without them has `RoundedTensor.impliedScale`. The record says
/// how many bits, of which shape, and with the stages which weights have scales.
enum RoundedEntry {
  static let scaleSuffix = ".scale"
  static let scaleType = DType.bf16

  /// The type, the shape and the bytes that the integers of a weight have.
  static func entry(_ shape: [Int], _ width: BitWidth) -> (dtype: DType, shape: [Int], byteCount: Int) {
    let count = shape.reduce(1, *)
    switch width {
    case .eight: return (.i8, shape, count)
    case .two, .three, .four, .five, .six, .seven:
      let bytes = RoundedTensor.packedCount(count, width)
      return (.u8, [bytes], bytes)
    }
  }

  /// The tensors of a weight: the integers, and the scales where it has some.
  static func stored(_ weight: RoundedTensor, name: String, hasScales: Bool) -> [StoredTensor] {
    let (dtype, shape, _) = entry(weight.shape, weight.width)
    let bytes = dtype == .i8 ? weight.integers.map { UInt8(bitPattern: $0) } : weight.packed
    let integers = StoredTensor(name: name, dtype: dtype, shape: shape, bytes: bytes)
    guard hasScales else {
      let implied = RoundedTensor.impliedScale(weight.shape, weight.width)
      precondition(weight.scales.allSatisfy { $0 == implied }, "'\(name)' has scales that nobody reads")
      return [integers]
    }
    let scales = Tensor<Float>(shape: [weight.scales.count], elements: weight.scales)
    return [integers, StoredTensor(name: name + scaleSuffix, scales, as: scaleType)]
  }

  /// Reads a weight.
  ///
  /// - Parameter scale: nil for a weight without scales.
  /// - Throws: `Failure` about the tensor where the two do not fit each other, the shape or the width.
  static func weight(_ integers: StoredTensor, _ scale: StoredTensor?, shape: [Int], _ width: BitWidth) throws
    -> RoundedTensor
  {
    let expected = entry(shape, width)
    func scales() throws -> [Float]? {
      // The integers say that there are so many channels before memory is taken for them.
      guard let scale else { return Array(repeating: RoundedTensor.impliedScale(shape, width), count: shape[0]) }
      guard scale.dtype == scaleType, scale.shape.count == 1 else { return nil }
      return try scale.decoded(as: Float.self).elements
    }
    guard integers.dtype == expected.dtype, integers.shape == expected.shape, let scales = try scales(),
      let weight = expected.dtype == .i8
        ? RoundedTensor(bytes: integers.bytes, shape: shape, scales: scales)
        : RoundedTensor(packed: integers.bytes, shape: shape, width: width, scales: scales)
    else {
      throw Failure(
        "tensor '\(integers.name)'", "is damaged",
        "it does not hold integers of \(width.rawValue) bits for a weight of \(shape) with a scale for each output channel",
        remedy: "apply the plan again")
    }
    return weight
  }
}

extension RoundedTensor {
  /// Integers of 8 bits, byte by byte; nil where they are none of `shape`, or a scale is not positive and finite.
  fileprivate init?(bytes: [UInt8], shape: [Int], scales: [Float]) {
    guard bytes.count == shape.reduce(1, *), scales.count == shape.first, scales.allSatisfy({ $0 > 0 && $0.isFinite }),
      !bytes.contains(UInt8(bitPattern: Int8.min))
    else { return nil }
    self.init(shape: shape, width: .eight, integers: bytes.map { Int8(bitPattern: $0) }, scales: scales)
  }
}

extension SafetensorsSet {
  /// A tensor with other numbers as the file stores it: on its grid, where it has one.
  ///
  /// - Throws: `Failure` where they are no numbers.
  func stored(_ changed: StoredTensor) throws -> StoredTensor {
    guard let grid = grids[changed.name] else { return changed }
    let values: Tensor<Float> = try changed.decoded()
    let weight = RoundedTensor(
      shape: values.shape, width: grid.width, integers: grid.integers(values, axis: grid.axis), scales: grid.scales)
    return RoundedEntry.stored(weight, name: changed.name, hasScales: true)[0]
  }

  /// The tensors of a file with numbers in the place of integers and scales that the record speaks of, and what each of these is
  /// computed from.
  ///
  /// - Throws: `Failure` where such a tensor is missing or damaged.
  static func numbers(
    of stored: [StoredTensor], _ record: JSON?
  ) throws -> (tensors: [StoredTensor], computedFrom: [String: [StoredTensor]], grids: [String: IntegerGrid]) {
    guard let record, let layers = (try? Record(record))?.layers.filter({ $0.storage != .float }), !layers.isEmpty
    else {
      return (stored, [:], [:])
    }
    var kernels: [String: StoredTensor] = [:]
    for tensor in stored {
      if let layer = SafetensorsLayers.layerName(ofKernel: tensor.name) { kernels[layer] = tensor }
    }
    let byName = Dictionary(stored.map { ($0.name, $0) }) { first, _ in first }
    var numbers: [String: StoredTensor] = [:]
    var computedFrom: [String: [StoredTensor]] = [:]
    var grids: [String: IntegerGrid] = [:]
    var scales: Set<String> = []
    for layer in layers {
      guard let width = layer.storage.width else { continue }
      for (part, (convolution, hasScales)) in zip(layer.parts, zip(layer.stages.convolutions, layer.stages.hasScales)) {
        let integers = kernels[part]
        let scale = integers.flatMap { byName[$0.name + RoundedEntry.scaleSuffix] }
        guard let integers, scale != nil || !hasScales else {
          throw Failure(
            "layer '\(layer.name)'", "cannot be read",
            "the record names '\(part)', which the file does not hold\(hasScales ? " with a scale" : "")",
            remedy: "apply the plan again")
        }
        let weight = try RoundedEntry.weight(integers, scale, shape: convolution.kernelShape, width)
        numbers[integers.name] = StoredTensor(name: integers.name, weight.values, as: .f32)
        computedFrom[integers.name] = [integers] + (scale.map { [$0] } ?? [])
        grids[integers.name] = IntegerGrid(width: width, scales: weight.scales, axis: 0)
        if let scale { scales.insert(scale.name) }
      }
    }
    return (stored.filter { !scales.contains($0.name) }.map { numbers[$0.name] ?? $0 }, computedFrom, grids)
  }
}

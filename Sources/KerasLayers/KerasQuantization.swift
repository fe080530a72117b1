import Basics
import ModelGraph
import TensorCore

/// Layers that Keras itself quantized (`model.quantize`): integers stand in the places of their kernels, with a scale beside them.
extension KerasLayer {
  /// The way in which a layer was quantized, `int8` say; nil for one that was not.
  package var quantizationMode: String? {
    guard let policy = config["dtype"], let name = policy["class_name"]?.string,
      name.hasSuffix("DTypePolicy"), let mode = policy["config"]?["mode"]?.string
    else { return nil }
    return mode
  }

  /// What Keras multiplies the product of LoRA's two matrices with; nil for a layer without these.
  package var adapterScale: Double? {
    guard let rank = value("lora_rank")?.integer, rank > 0 else { return nil }
    return (value("lora_alpha")?.real ?? Double(rank)) / Double(rank)
  }

  /// The names of the weights of a layer that may be quantized, or have LoRA's matrices beside its kernel.
  ///
  /// - Parameters:
  ///   - kernel: The weight that is quantized, and those behind it that Keras trains.
  ///   - plain: The names without either.
  /// - Returns: nil for ways to quantise that the program does not know.
  func quantization(of kernel: [String], _ plain: () -> KerasWeightNames) -> KerasWeightNames? {
    let plain = plain()
    let others = plain.trainable.filter { !kernel.contains($0) }
    let adapters = adapterScale == nil ? [] : kernel.flatMap { ["lora_\($0)_a", "lora_\($0)_b"] }
    switch quantizationMode {
    case nil:
      return adapters.isEmpty ? plain : KerasWeightNames(trainable: others + adapters, fixed: kernel + plain.fixed)
    case "int8":
      let scales = kernel.map { $0 + "_scale" }
      let numbered = (plain.trainable + scales).enumerated().map { ($0.element, ["vars/\($0.offset)"]) }
      return KerasWeightNames(
        trainable: others + adapters, fixed: zip(kernel, scales).flatMap { [$0, $1] },
        places: Dictionary(uniqueKeysWithValues: numbered))
    default: return nil
    }
  }

  /// Whether the layer rounds its inputs too. Keras writes null where only the weights are quantized.
  fileprivate var roundsInputs: Bool {
    guard let settings = value("quantization_config")?["config"] else { return true }
    return settings["activation_quantizer"].map { !$0.isNull } ?? true
  }
}

extension KerasUse {
  /// The value rounded to 255 numbers along `axes`, as Keras's AbsMaxQuantizer does it, and what it was multiplied with; nil where
  /// the layer takes its inputs as they are.
  mutating func rounded(_ value: String, axes: [Int]) throws -> (value: String, scale: String)? {
    guard layer.roundsInputs else { return nil }
    let quantizer = layer.value("quantization_config")?["config"]?["activation_quantizer"]
    if let quantizer {
      guard quantizer["class_name"]?.string == "AbsMaxQuantizer",
        quantizer["config"]?["value_range"]?.integers == [-127, 127]
      else { throw layer.failure("cannot be run", "it rounds its inputs in a way that the program does not know") }
    }
    let epsilon = scalar(quantizer?["config"]?["epsilon"]?.real ?? 1e-7)
    let largest = reduce(.maximum, function(.absolute, of: value), axes: axes)
    let range = scalar(127)
    let scale = elementwise(.divide, range, elementwise(.add, largest, epsilon))
    let whole = function(.round, of: elementwise(.multiply, value, scale))
    return (function(.clip(minimum: -127, maximum: 127), of: whole), scale)
  }
}

import Basics
import Foundation
import ModelGraph
import Safetensors
import TensorCore
import Training

/// Factors in the layout of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`, in which lora_B lora_A is our A B.
struct AdapterFolder {
  /// The files of the folder, the configuration, through which the factors are found, last.
  let targets: [OutputSet.Target]

  private let path: String
  private static let prefix = "base_model.model."

  init(path: String) {
    self.path = path
    targets = ["adapter_model.safetensors", "adapter_config.json"].map {
      .init((path as NSString).appendingPathComponent($0), option: "--adapter")
    }
  }

  /// The bytes of the files, in the order of `targets`, and what the user should know.
  ///
  /// - Throws: `Failure` where no layer has a form there.
  func content(
    of factorsByLayer: [String: LowRankFactors], _ layers: [Layer]
  ) throws -> (files: [[UInt8]], notices: [String]) {
    var tensors: [StoredTensor] = []
    var ranks: [(String, Int)] = []
    var left: [String] = []
    for layer in layers {
      guard let factors = factorsByLayer[layer.name] else { continue }
      let spatial = layer.convolution.spatialExtents
      // PEFT's grouped convolutions share no rank between groups.
      guard layer.kind != .transposedConvolution, layer.convolution.groups == 1 else {
        left.append(layer.name)
        continue
      }
      let rank = factors.rank
      let inner = spatial.isEmpty ? factors.b : factors.b.reshaped([rank, layer.kernelShape[1]] + spatial)
      let outer = factors.a.reshaped([layer.kernelShape[0], rank] + spatial.map { _ in 1 })
      let name = Self.prefix + layer.name.replacing("/", with: ".")
      tensors.append(StoredTensor(name: name + ".lora_A.weight", inner, as: .f32))
      tensors.append(StoredTensor(name: name + ".lora_B.weight", outer, as: .f32))
      ranks.append((layer.name.replacing("/", with: "."), rank))
    }
    guard let largest = ranks.map(\.1).max() else {
      throw Failure(path, "is not written", "no layer is a plain convolution or linear layer")
    }
    let notices =
      left.isEmpty
      ? []
      : [
        "\(left.count) layers, '\(left[0])' first, are not in the adapter: PEFT has no form for grouped and transposed convolutions"
      ]
    return (
      [
        SafetensorsFile(tensors: tensors, metadata: ["format": "pt"]).fileBytes,
        Array((Self.configuration(ranks, largest).text(.indented) + "\n").utf8),
      ], notices
    )
  }

  /// Scale alpha / r is 1 for every layer. Names are patterns there, longer ones first so that none is taken for another's end.
  private static func configuration(_ ranks: [(String, Int)], _ largest: Int) -> JSON {
    let sorted = ranks.sorted { $0.0.count == $1.0.count ? $0.0 < $1.0 : $0.0.count > $1.0.count }
    let patterns = sorted.map { ($0.0.replacing(".", with: "\\."), JSON.integer($0.1)) }
    return [
      "peft_type": "LORA", "task_type": nil, "base_model_name_or_path": nil, "inference_mode": true,
      "r": .integer(largest), "lora_alpha": .integer(largest), "lora_dropout": 0, "bias": "none",
      "fan_in_fan_out": false, "use_rslora": false, "init_lora_weights": true, "modules_to_save": nil,
      "target_modules": .string(patterns.map(\.0).joined(separator: "|")),
      "rank_pattern": .object(JSONObject(patterns)), "alpha_pattern": .object(JSONObject(patterns)),
    ]
  }
}

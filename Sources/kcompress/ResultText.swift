import Basics
import Foundation
import ModelGraph
import Pipeline

extension Inspection {
  /// The checkpoint in a few lines and a table of its layers.
  var text: String {
    var lines = [
      "\(checkpoint.path): \(checkpoint.format)"
        + (checkpoint.formatVersion.map { " \($0)" } ?? "")
        + ", \(checkpoint.byteCount) bytes, \(Format.count(checkpoint.parameterCount)) parameters in \(checkpoint.tensors.count) tensors"
    ]
    if let graph = checkpoint.graph {
      let inputs = graph.inputs.map { "'\($0.name)' \(Self.shape($0.shape))" }.joined(separator: ", ")
      lines.append("inputs: \(inputs); outputs: \(graph.outputs.map { "'\($0.name)'" }.joined(separator: ", "))")
      if let macs {
        lines.append(
          "one sample: \(Format.count(macs)) multiply-accumulates"
            + (peakActivationCount.map { ", at most \(Format.count($0)) live activations" } ?? ""))
      }
      if let unsupported = graph.unsupportedNode { lines.append("cannot be run: \(unsupported)") }
    } else {
      lines.append("no graph: \(checkpoint.graphAbsence ?? "the file has none")")
    }
    if checkpoint.record != nil { lines.append("compressed by kcompress") }
    var table = TextTable([
      ("layer", .left), ("operation", .left), ("kernel", .left), ("parameters", .right), ("MACs", .right),
      ("stays dense because", .left),
    ])
    for layer in checkpoint.layers {
      table.add([
        layer.name, layer.kind.rawValue.replacing("_", with: " "), Format.shape(layer.kernelShape),
        "\(layer.convolution.parameterCount)", layer.denseMACs.map(Format.count) ?? "",
        layer.refusal ?? "",
      ])
    }
    return (lines + ["", table.text]).joined(separator: "\n")
  }

  private static func shape(_ shape: [Int?]) -> String {
    "[" + shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", ") + "]"
  }
}

extension PlanDocument {
  func text(path: String) -> String {
    var table = TextTable([
      ("layer", .left), ("kernel", .left), ("structure", .left), ("ranks", .left),
      ("parameters", .right), ("bytes", .right), ("discrepancy", .right), ("note", .left),
    ])
    for layer in layers {
      table.add([
        layer.name, Format.shape(layer.shape), layer.structure,
        layer.ranks.map(String.init).joined(separator: ", "), "\(layer.parameters)", "\(layer.bytes)",
        layer.structure == "dense" ? "" : Format.number(layer.discrepancy), layer.reason ?? "",
      ])
    }
    return ([table.text, ""] + totals + ["plan: \(path)"]).joined(separator: "\n")
  }

  private var totals: [String] {
    let isCompressed = layers.contains { $0.structure != "dense" }
    var lines = [
      "file: \(predicted.bytes) bytes" + (budget.bytes.map { " of \($0) allowed" } ?? "") + " (now \(original.bytes)); "
        + "loss \(Format.number(solver.loss)), gap to the optimum at most \(String(format: "%.2g %%", 100 * solver.gap))"
    ]
    func cost(_ name: String, _ value: String?, _ allowed: String?, _ now: String?, _ remark: String = "") {
      guard let value else { return }
      lines.append(
        "\(name): \(value)" + (allowed.map { " of \($0) allowed" } ?? "") + (now.map { " (now \($0))" } ?? "") + remark)
    }
    let savesNoWork = isCompressed && predicted.macs.flatMap { after in original.macs.map { after >= $0 } } ?? false
    cost(
      "multiply-accumulates", predicted.macs.map(Format.count), budget.macs.map(Format.count),
      original.macs.map(Format.count), savesNoWork ? ": the plan saves bytes but no operations" : "")
    cost(
      "activations alive at once", predicted.ram.map(Format.bytes), budget.ram.map(Format.bytes),
      original.ram.map(Format.bytes))
    let savesNoTime =
      isCompressed && predicted.latency.flatMap { after in original.latency.map { after >= $0 } } ?? false
    cost(
      "time on \(options.device ?? "the device")", predicted.latency.map(Format.seconds),
      budget.latency.map(Format.seconds), original.latency.map(Format.seconds),
      savesNoTime ? ": the plan saves bytes but no time" : "")
    for (price, step, name) in [
      (prices.bytes, 1e4, "10 kB"), (prices.macs, 1e6, "1 M multiply-accumulates"), (prices.latency, 1e-3, "1 ms"),
    ] where price * step > 1e-3 * solver.loss {
      lines.append("another \(name) would take some \(Format.number(min(solver.loss, price * step))) off the loss")
    }
    let sizes = Dictionary(grouping: kept) { $0.reason.hasPrefix("the bias of") ? "biases" : $0.reason }
    if !kept.isEmpty {
      let parts = sizes.sorted { $0.key < $1.key }.map { "\($0.value.count): \($0.key)" }
      lines.append(
        "\(kept.count) other tensors are kept, \(kept.reduce(0) { $0 + $1.bytes }) bytes (\(parts.joined(separator: "; ")))"
      )
    }
    if options.calibration == nil, isCompressed {
      lines.append(
        "planned on the weights alone; samples of what the network will see keep more accuracy (--calibration)")
    }
    return lines
  }
}

extension Infeasibility {
  /// What cannot be kept, what can be reached, what holds it up and what would do.
  var sentence: String {
    let reasons = shortfalls.map { "no plan fits \($0.allowance): \($0.reached)" }.joined(separator: "; ")
    let causes = heldUpBy.isEmpty ? "" : ", held up by " + heldUpBy.joined(separator: ", ")
    let remedies = shortfalls.compactMap(\.remedy)
    let advice = remedies.isEmpty ? "" : " (raise \(remedies.joined(separator: ", or ")))"
    return (reasons.isEmpty ? "no plan that keeps all limits together was found" : reasons) + causes + advice
  }
}

extension ApplyResult {
  var text: String {
    var lines = [
      isDense
        ? "\(output): \(bytes) bytes, dense: the budget is the factored file's"
        : "\(output): \(bytes) bytes, budget \(plan.budget.text)"
    ]
    if let architecture { lines.append("architecture: \(architecture)") }
    let compared = layers.compactMap(\.discrepancy)
    if let worst = compared.max() {
      lines.append("\(layers.count) layers compressed, their largest discrepancy is \(Format.number(worst))")
    } else {
      lines.append("no layer had to be compressed")
    }
    if let network {
      lines.append(
        "network: relative discrepancy \(Format.number(network.relativeDiscrepancy))"
          + (network.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
          + (samples.map { " on \($0)" } ?? ""))
    } else {
      lines.append("network: not run, \(networkAbsence ?? "there is no graph"); every layer was checked by itself")
    }
    if let calibration {
      lines.append(
        "calibration: loss \(calibration.losses.map(Format.number).joined(separator: ", then "))"
          + (calibration.agreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
          + " on \(calibration.heldOut) samples held out of \(calibration.samples)")
    }
    lines.append("report: \(reports.first ?? "")")
    return lines.joined(separator: "\n")
  }
}

extension Verification {
  var text: String {
    var lines: [String] = []
    if let source { lines.append("ran on \(source)") }
    for output in outputs {
      lines.append(
        "output '\(output.name)': relative discrepancy \(Format.number(output.relativeDiscrepancy)), largest difference "
          + "\(Format.number(output.maximumAbsoluteDifference)), cosine similarity "
          + "\(Format.number(output.cosineSimilarity))"
          + (output.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? ""))
    }
    if let accuracy {
      lines.append(
        "accuracy \(Format.percent(accuracy))" + (originalAccuracy.map { " (original \(Format.percent($0)))" } ?? ""))
    }
    if let psnr {
      lines.append(
        "PSNR \(Format.number(psnr)) dB" + (originalPSNR.map { " (original \(Format.number($0)) dB)" } ?? ""))
    }
    if let bitsPerCharacter {
      lines.append(
        "bits per character \(Format.number(bitsPerCharacter))"
          + (originalBitsPerCharacter.map { " (original \(Format.number($0)))" } ?? ""))
    }
    if !layers.isEmpty {
      let compared = layers.filter { $0.discrepancy != nil }.count
      lines.append("\(layers.count) compressed layers run as their kernels say, \(compared) compared with the original")
    }
    lines += failures.map { "failed: \($0)" }
    lines.append(passed ? "passed" : "NOT passed")
    return lines.joined(separator: "\n")
  }
}

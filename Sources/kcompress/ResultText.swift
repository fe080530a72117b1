import Basics
import ModelGraph
import Pipeline

extension Inspection {
  /// The checkpoint in a few lines and a table of its layers.
  var text: String {
    var lines = [
      "\(checkpoint.path): \(checkpoint.format.rawValue)"
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
    var totals =
      "file: \(predicted.bytes) bytes of \(budget.bytes) allowed (now \(original.bytes)); "
      + "loss \(Format.number(solver.loss)), gap to the optimum at most \(Format.percent(solver.gap))"
    if let before = original.macs, let after = predicted.macs {
      totals += "\nmultiply-accumulates: \(Format.count(after)) (now \(Format.count(before)))"
      let saves = layers.contains { $0.structure != "dense" }
      if saves, after >= before { totals += ": the plan saves bytes but no time" }
    }
    if options.calibration == nil, layers.contains(where: { $0.structure != "dense" }) {
      totals +=
        "\nplanned on the weights alone; samples of what the network will see keep more accuracy (--calibration)"
    }
    return "\(table.text)\n\n\(totals)\nplan: \(path)"
  }
}

extension ApplyResult {
  var text: String {
    var lines = [
      isDense
        ? "\(output): \(bytes) bytes, dense: the budget is the factored file's"
        : "\(output): \(bytes) bytes, budget \(plan.budget.bytes)"
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

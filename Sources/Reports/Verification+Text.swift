import Basics
import Compression
import Foundation

extension Verification {
  /// The result as the terminal shows it.
  package var text: String {
    var lines: [String] = []
    let found = examination
    if let source = found.source { lines.append("ran on \(source)") }
    for output in found.outputs {
      lines.append(
        "output '\(output.name)': relative discrepancy \(Format.number(output.relativeDiscrepancy)), largest difference "
          + "\(Format.number(output.maximumAbsoluteDifference)), cosine similarity "
          + "\(Format.number(output.cosineSimilarity))"
          + (output.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? ""))
    }
    if let accuracy = found.accuracy {
      lines.append(
        "accuracy \(Format.percent(accuracy))"
          + (found.originalAccuracy.map { " (original \(Format.percent($0)))" } ?? ""))
    }
    if let psnr = found.psnr {
      lines.append(
        "PSNR \(Format.number(psnr)) dB" + (found.originalPSNR.map { " (original \(Format.number($0)) dB)" } ?? ""))
    }
    if let bitsPerCharacter = found.bitsPerCharacter {
      lines.append(
        "bits per character \(Format.number(bitsPerCharacter))"
          + (found.originalBitsPerCharacter.map { " (original \(Format.number($0)))" } ?? ""))
    }
    if !layers.isEmpty {
      let compared = layers.filter { $0.discrepancy != nil }.count
      lines.append("\(layers.count) compressed layers run as their kernels say, \(compared) compared with the original")
    }
    lines += failures.map { "failed: \($0)" }
    switch verdict {
    case .passed: lines.append("passed")
    case .failed: lines.append("NOT passed")
    case .measured: lines.append("measured: there was nothing to judge by (set a limit, or give reference outputs)")
    }
    return lines.joined(separator: "\n")
  }
}

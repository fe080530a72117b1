import Basics
import Foundation
import Planning

extension Inspection {
  /// The checkpoint in a few lines and a table of its layers.
  package var text: String {
    var lines = [
      "\(checkpoint.path): \(checkpoint.format)"
        + (checkpoint.formatVersion.map { " \($0)" } ?? "")
        + ", \(checkpoint.byteCount) bytes, \(Format.count(parameterCount)) parameters in \(checkpoint.tensors.count) tensors"
    ]
    if let graph = checkpoint.graph {
      let inputs = graph.inputs.map { "'\($0.name)' \($0.shapeText)" }.joined(separator: ", ")
      lines.append("inputs: \(inputs); outputs: \(graph.outputs.map { "'\($0.name)'" }.joined(separator: ", "))")
      if let macs {
        lines.append(
          "one sample: \(Format.count(macs)) multiply-accumulates"
            + (peakActivationCount.map { ", at most \(Format.count($0)) live activations" } ?? ""))
      }
      if let unsupported = graph.unsupportedNode {
        let types = graph.unsupportedTypes.map { $0.count == 1 ? $0.type : "\($0.count) x \($0.type)" }
        lines.append("cannot be run: \(unsupported)")
        lines.append("not run: \(types.joined(separator: ", "))")
      }
    } else {
      lines.append("no graph: \(checkpoint.graphAbsence ?? "the file has none")")
    }
    if let quantizedShare {
      lines.append("quantized already: \(Format.percent(quantizedShare)) of its weights have 8 bits or fewer")
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
    let layers = checkpoint.layers.isEmpty ? [] : ["", table.text]
    return (lines + layers + ["", groupTable.text]).joined(separator: "\n")
  }

  /// What all tensors are, with their share of the bytes.
  private var groupTable: TextTable {
    var table = TextTable([
      ("all parameters", .left), ("tensors", .right), ("parameters", .right), ("bytes", .right), ("share", .right),
      ("stay as they are because", .left),
    ])
    for group in groups {
      table.add([
        group.content, "\(group.tensors)", "\(group.parameters)", "\(group.bytes)", Format.percent(share(of: group)),
        group.reason ?? "",
      ])
    }
    return table
  }
}

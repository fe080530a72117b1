import Basics
import Checkpoints
import Formats
import ModelGraph
import TensorCore

/// What `inspect` tells about a checkpoint.
package struct Inspection: Sendable {
  package let checkpoint: Checkpoint
  /// Multiply-accumulates of one sample; nil without a graph or where the model leaves extents open.
  package let macs: Int?
  /// The largest sum of live activations of one sample, in elements; nil likewise.
  package let peakActivationCount: Int?

  /// - Throws: `Failure` where the file cannot be read.
  package init(path: String, companions: Companions = Companions()) throws {
    checkpoint = try CheckpointSource(path: path, companions: companions).open()
    macs = checkpoint.macs
    peakActivationCount = checkpoint.graph.flatMap { try? $0.peakActivationCount() }
  }

  package var json: JSON {
    [
      "checkpoint": .string(checkpoint.path),
      "format": .string(checkpoint.format),
      "format_version": .optional(checkpoint.formatVersion, JSON.string),
      "sha256": .string(checkpoint.sha256),
      "bytes": .integer(checkpoint.byteCount),
      "parameters": .integer(checkpoint.parameterCount),
      "macs": .optional(macs, JSON.integer),
      "peak_activations": .optional(peakActivationCount, JSON.integer),
      "inputs": .array(checkpoint.graph?.inputs.map { Self.value($0.name, $0.shape) } ?? []),
      "outputs": .strings(checkpoint.graph?.outputs.map(\.name) ?? []),
      "graph_absence": .optional(checkpoint.graphAbsence, JSON.string),
      "cannot_run": .optional(checkpoint.graph?.unsupportedNode, JSON.string),
      "compressed": .bool(checkpoint.record != nil),
      "notices": .strings(checkpoint.notices),
      "layers": .array(checkpoint.layers.map(layer)),
      "tensors": .array(
        checkpoint.tensors.map { tensor in
          [
            "name": .string(tensor.name), "dtype": .string(tensor.dtype.rawValue),
            "shape": .integers(tensor.shape), "bytes": .integer(tensor.bytes.count),
          ]
        }),
    ]
  }

  private static func value(_ name: String, _ shape: [Int?]) -> JSON {
    ["name": .string(name), "shape": .array(shape.map { .optional($0, JSON.integer) })]
  }

  private func layer(_ layer: Layer) -> JSON {
    [
      "name": .string(layer.name), "operation": .string(layer.kind.rawValue),
      "shape": .integers(layer.kernelShape), "dtype": .string(layer.dtype.rawValue),
      "parameters": .integer(layer.denseParameterCount),
      "macs": .optional(layer.macs(layer.denseStages), JSON.integer),
      "refusal": .optional(layer.refusal, JSON.string),
    ]
  }
}

extension Checkpoint {
  /// The numbers in all floating-point tensors.
  package var parameterCount: Int {
    tensors.filter(\.dtype.isCompressible).reduce(0) { $0 + $1.shape.reduce(1, *) }
  }
}

extension Checkpoint {
  /// Multiply-accumulates of one sample; nil without a graph or where the model leaves extents open.
  var macs: Int? { graph.flatMap { try? $0.macs() } }
}

extension ModelGraph {
  /// The first layer that cannot be run, with the reason.
  package var unsupportedNode: String? {
    for node in nodes {
      if case .unsupported(_, let reason) = node.operation { return "layer '\(node.layer)': \(reason)" }
    }
    return nil
  }
}

extension Layer {
  /// The stages of the layer as it is: its convolution and its bias.
  package var denseStages: [Stage] {
    [.convolution(convolution)] + (bias == nil ? [] : [.bias(channels: convolution.outputChannels)])
  }

  /// Kernel and bias.
  package var denseParameterCount: Int { denseStages.parameterCount }

  /// Of all uses, for one sample; nil where extents are unknown.
  package var denseMACs: Int? { macs(denseStages) }
}

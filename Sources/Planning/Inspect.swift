import Basics
import Checkpoints
import Formats
import ModelGraph
import Running

/// What the user asks `inspect` for.
package struct InspectRequest: Job {
  package var checkpoint: String
  package var companions: Companions

  package init(checkpoint: String, companions: Companions = Companions()) {
    self.checkpoint = checkpoint
    self.companions = companions
  }

  /// Reads the checkpoint.
  ///
  /// - Throws: `Failure` where the file cannot be read.
  package func run(workers: Workers, progress: ProgressHandler) throws -> Inspection {
    let checkpoint = try CheckpointSource(path: checkpoint, companions: companions).open()
    return Inspection(
      checkpoint: checkpoint, macs: checkpoint.macs,
      peakActivationCount: checkpoint.graph.flatMap { try? $0.peakActivationCount() })
  }
}

/// What `inspect` tells about a checkpoint.
package struct Inspection: Sendable {
  package let checkpoint: Checkpoint
  /// Multiply-accumulates of one sample; nil without a graph or where the model leaves extents open.
  package let macs: Int?
  /// The largest sum of live activations of one sample, in elements; nil likewise.
  package let peakActivationCount: Int?

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
      "inputs": .array(checkpoint.graph?.inputs.map(Self.value) ?? []),
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

  private static func value(_ input: ModelGraph.Input) -> JSON {
    [
      "name": .string(input.name),
      "shape": input.rankIsOpen ? .null : .array(input.shape.map { .optional($0, JSON.integer) }),
    ]
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

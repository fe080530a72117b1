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
    do {
      return Inspection(
        checkpoint: checkpoint, macs: try checkpoint.macs,
        peakActivationCount: try checkpoint.graph?.peakActivationCount(), groups: checkpoint.parameterGroups,
        notices: checkpoint.notices)
    } catch let failure as Failure {
      // The layers are there all the same.
      return Inspection(
        checkpoint: checkpoint, macs: nil, peakActivationCount: nil, groups: checkpoint.parameterGroups,
        notices: checkpoint.notices + ["what the network takes to run is not known: \(failure)"])
    }
  }
}

/// What `inspect` tells about a checkpoint.
package struct Inspection: Sendable {
  package let checkpoint: Checkpoint
  /// Multiply-accumulates of one sample; nil without a graph or where the model leaves extents open.
  package let macs: Int?
  /// The largest sum of live activations of one sample, in elements; nil likewise.
  package let peakActivationCount: Int?
  /// All tensors, grouped by what they are and why they stay as they are.
  package let groups: [ParameterGroup]

  /// The numbers of all groups: weights in inner parts of the network and quantized ones included.
  package var parameterCount: Int { groups.reduce(0) { $0 + $1.parameters } }
  /// The share of the parameters that are integers of 8 bits or fewer; nil where the model is not quantized.
  package var quantizedShare: Double? { checkpoint.quantizedShare }
  /// What a group takes of the bytes of all.
  package func share(of group: ParameterGroup) -> Double {
    Double(group.bytes) / Double(max(1, groups.reduce(0) { $0 + $1.bytes }))
  }
  /// What the user should know about the file and its network, one sentence each.
  package let notices: [String]

  package var json: JSON {
    [
      "checkpoint": .string(checkpoint.path),
      "format": .string(checkpoint.format),
      "format_version": .optional(checkpoint.formatVersion, JSON.string),
      "sha256": .string(checkpoint.sha256),
      "bytes": .integer(checkpoint.byteCount),
      "parameters": .integer(parameterCount),
      "macs": .optional(macs, JSON.integer),
      "peak_activations": .optional(peakActivationCount, JSON.integer),
      "inputs": .array(checkpoint.graph?.inputs.map(Self.value) ?? []),
      "outputs": .strings(checkpoint.graph?.outputs.map(\.name) ?? []),
      "graph_absence": .optional(checkpoint.graphAbsence, JSON.string),
      "cannot_run": .optional(checkpoint.graph?.unsupportedNode, JSON.string),
      "not_run": .array(
        (checkpoint.graph?.unsupportedTypes ?? []).map {
          ["type": .string($0.type), "count": .integer($0.count), "reason": .string($0.reason)]
        }),
      "quantized": .optional(quantizedShare, JSON.real),
      "groups": .array(
        groups.map { group in
          [
            "content": .string(group.content), "tensors": .integer(group.tensors),
            "parameters": .integer(group.parameters), "bytes": .integer(group.bytes),
            "share": .real(share(of: group)), "reason": .optional(group.reason, JSON.string),
          ]
        }),
      "compressed": .bool(checkpoint.record != nil),
      "notices": .strings(notices),
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

import Basics
import ModelGraph
import TensorCore

/// A checkpoint as read: its tensors, the layers that a structure could replace and, where the file has one, its graph.
public struct Checkpoint: Sendable {
  public enum Format: String, Sendable {
    case safetensors
    case kerasHDF5 = "keras-h5"
    case kerasWeights = "keras-weights-h5"
    case kerasArchive = "keras"
    case onnx
  }

  public let path: String
  public let format: Format
  /// The framework version that the file states, "2.4.0" say.
  public let formatVersion: String?
  /// Of the file's bytes, in lower-case hexadecimal; of a sharded set, over the index and then every shard in the index's order.
  public let sha256: String
  /// The size of the file, or of the index and all shards.
  public let byteCount: Int
  /// In the order of the file; names are unique. Optimiser state is not among them.
  public let tensors: [StoredTensor]
  public let layers: [Layer]
  public let graph: ModelGraph?
  /// Why there is no graph, nil when there is one.
  public let graphAbsence: String?
  /// What the user should know about the file, one sentence each: dropped optimiser state, say.
  public let notices: [String]
  /// What apply recorded in the file; nil in an uncompressed checkpoint.
  public let record: JSON?

  let content: Content
  /// Tensors that only a graph from another file refers to.
  var graphTensors: [StoredTensor] = []
  /// Finds a tensor by its name.
  let places = TensorPlaces()

  /// What the writer of the format needs beyond the tensors.
  enum Content: Sendable {
    case safetensors(SafetensorsSet)
    case keras(KerasGraph)
    case onnx(ONNXGraph)
  }
}

/// A layer's new form: the stages that take its kernel's place and their weights.
public struct Replacement: Sendable {
  /// The name of the `Layer`.
  public let layer: String
  /// The name of the structure that the stages come from.
  public let structure: String
  public let stages: [Stage]
  /// One weight for every convolution among the stages, in their order, each of the convolution's `kernelShape`. Empty
  /// where only the size of the result matters.
  public let weights: [Tensor<Double>]

  public init(
    layer: String, structure: String = "", stages: [Stage], weights: [Tensor<Double>] = []
  ) {
    self.layer = layer
    self.structure = structure
    self.stages = stages
    self.weights = weights
  }
}

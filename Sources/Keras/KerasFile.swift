import Basics
import TensorCore

/// What a Keras HDF5 file holds, as stored: the configuration and, layer by layer, the weights.
struct KerasFile: Sendable {
  /// One group of the file's weight section.
  struct LayerGroup: Sendable {
    let name: String
    /// The weights in the order of `weight_names`; each tensor is named by its full path below the weight section, `conv2d/conv2d/kernel:0`.
    let weights: [StoredTensor]
  }

  /// The architecture that came beside a weights-only file; nil where none did.
  var modelConfig: JSON?
  /// The class of a model that is its author's own, of whose layers the file says nothing; nil for any other.
  var ownClass: String?
  /// `keras_version` and `backend` as the file states them.
  var kerasVersion: String?
  var backend: String?
  /// The layers in the order of `layer_names`, those without weights included.
  var layers: [LayerGroup]
  /// `top_level_model_weights` of Keras 3, usually empty; nil where the file has no such group.
  var topLevelWeights: [StoredTensor]?
  /// Whether the file holds no configuration: the weight section is the root itself rather than `model_weights`.
  var isWeightsOnly: Bool
  /// Whether there was optimiser state, which does not fit the compressed weights and is dropped.
  var hasOptimizerState: Bool
  /// How weights are stored that take fewer bits than their type has, by their names. What is read is numbers of its type.
  var codings: [String: KerasCoding] = [:]
  /// What apply recorded, from the root attribute `kcompress`.
  var record: JSON?
}

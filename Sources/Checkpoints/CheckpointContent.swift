import Basics
import ModelGraph
import TensorCore

/// What a format keeps of a file: the neutral part of a checkpoint, and everything that writing the file again needs.
///
/// Every member is a decision that a format has to take, so none has a default.
package protocol CheckpointContent: Sendable {
  // MARK: What the file holds

  /// The format of the file.
  var format: any CheckpointFormat.Type { get }
  /// The format's name as users see it. A format with several layouts of its files has a name for each.
  var formatName: String { get }
  /// The version that the file states of its framework; nil where it states none.
  var formatVersion: String? { get }
  /// The tensors in the order of the file; names are unique.
  var tensors: [StoredTensor] { get }
  /// The tensors that the file does not hold as they are, with those of the file that each is computed from.
  var computedFrom: [String: [StoredTensor]] { get }
  /// The grids of tensors that stand for weights which the file stores as integers, by the tensors' names.
  var grids: [String: IntegerGrid] { get }
  /// The layers with a kernel that a structure could replace, in the order of the file.
  var layers: [Layer] { get }
  /// The network; nil where the file holds none.
  var graph: ModelGraph? { get }
  /// Why there is no graph; nil where there is one.
  var graphAbsence: String? { get }
  /// What apply recorded in the file; nil in an uncompressed checkpoint.
  var record: JSON? { get }
  /// The texts beside the tensors; nil where the format has no place for such texts.
  var metadata: [String: String]? { get }

  // MARK: What else is known of it

  /// The coarsest type of floating-point numbers in which the framework computes the network, whatever types it is stored in.
  var computedType: DType { get }
  /// Tensors where neither the layers nor the graph reach: in the branches of a conditional node, say. Their names are none of
  /// `tensors`.
  var innerTensors: [InnerTensor] { get }
  /// What reads each tensor first, by the tensor's name: the class of the operator or layer in the format's own words. Tensors of which
  /// nothing is known are absent.
  var readers: [String: String] { get }

  // MARK: Other files

  /// How tensors without a network were read; nil for other files.
  var stateDict: StateDictOptions? { get }
  /// Whether the file is a compressed one whose architecture lies in another file, which was not given.
  var missesArchitecture: Bool { get }
  /// Whether the file never holds a graph, and takes that of another file.
  var takesGraph: Bool { get }
  /// Whether the graph may be joined to a file of the same network that takes one.
  var lendsGraph: Bool { get }

  /// The layer that a kernel of this name belongs to by the format's conventions, whether the file has such a kernel or not; nil
  /// where the name is no kernel's. Only a file that takes a graph is asked.
  func layerName(ofKernel tensor: String) -> String?

  /// The same with what a graph says of its layers. Only a file that takes a graph is asked.
  func with(layers: [Layer]) -> any CheckpointContent

  /// The path of the file that takes the architecture when the checkpoint is written to `path`; nil where the file itself
  /// holds it.
  func architecturePath(besides path: String) -> String?

  // MARK: Replacing layers

  /// Why the format cannot express these stages in place of the layer; nil where it can.
  func refusal(of stages: [Stage], for layer: Layer) -> String?

  /// The type of the scales where weights are stored as integers.
  var scaleType: DType { get }

  /// The type in which a plan with integers stores the numbers that stay floating-point, where nobody asks for one: readers take it as it is.
  /// Nil leaves each tensor in its own.
  var floatTypeBesideIntegers: DType? { get }

  /// How the format stores weights of a width, where it can.
  func storage(_ width: BitWidth) -> WeightStorage

  /// Why the format cannot store a layer's weights so; nil where it can.
  func refusal(of storage: WeightStorage, for layer: Layer) -> String?

  /// The names of the layers that will hold the weights of each replacement: one for each convolution among its stages.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced.
  func partNames(replacing replacements: [Replacement]) throws -> [[String]]

  /// Integers that a replacement needs and that the file holds once for all replacements that need them.
  ///
  /// - Throws: `Failure` where the layer cannot be replaced.
  func sharedVectors(of replacement: Replacement) throws -> [IntegerVector]

  /// The bytes that such integers take in the file.
  ///
  /// - Precondition: The vector is one of `sharedVectors`.
  func byteCount(of vector: IntegerVector) throws -> Int

  /// How far the sum of the layers' growths, with what they share counted once, can be from the file's real growth, in bytes:
  /// digits of offsets, lists of names that are as wide as the longest. It is measured, with a margin.
  var sizeSlack: Int { get }

  /// The exact bytes that `write` with these replacements and this record puts into the file and those that it names.
  /// Replacements need no weights.
  ///
  /// - Parameter path: Where the file will be.
  /// - Throws: `Failure` where a layer cannot be replaced, for the caller to add the path.
  func byteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int

  /// The same bytes without trust in any count: where another library writes the file, as that library finds them on a file in
  /// memory.
  ///
  /// - Parameter path: Where the file will be.
  /// - Throws: `Failure` where a layer cannot be replaced, for the caller to add the path.
  func provenByteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int

  /// Writes the file with these replacements and this record. The same arguments give the same bytes.
  ///
  /// - Parameters:
  ///   - path: Where the file goes.
  ///   - source: What failures about the content are about.
  /// - Throws: `Failure` where a layer cannot be replaced, or the file exists or cannot be written.
  func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool, source: String
  ) throws

  // MARK: Changing tensors

  /// Why the file cannot store tensors of this type; nil where it can.
  func refusal(of dtype: DType) -> String?

  /// The type in which a tensor is stored when `dtype` is asked for; nil where the tensor stays as it is.
  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType?

  /// The content with other tensors in place of some, by their names. What the file stores as integers stays so, on its grid.
  ///
  /// - Throws: `Failure` where the tensors do not fit the file.
  func substituting(_ changed: [String: StoredTensor]) throws -> any CheckpointContent
}

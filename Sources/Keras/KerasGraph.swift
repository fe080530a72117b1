import Basics
import KerasLayers
import ModelGraph
import TensorCore

/// How a Keras checkpoint lies in its file.
enum KerasContainer: Sendable {
  /// An HDF5 file with groups named by layer, as all versions write `.h5`.
  case hdf5
  /// `.weights.h5` of Keras 3; the architecture lies beside it.
  case variables(KerasVariables)
  /// The file is a `.keras` archive of Keras 3.
  case archive(KerasArchive)

  /// The weights as Keras 3 stores them; nil where they go by layers.
  var variables: KerasVariables? {
    switch self {
    case .hdf5: nil
    case .variables(let variables): variables
    case .archive(let archive): archive.variables
    }
  }
}

/// A Keras file in the program's own terms: its layers with kernels and, where it has an architecture, its graph.
struct KerasGraph: Sendable {
  /// The file in the form that the rest of the program works on: Keras 2 or 3, kernels as TensorFlow has them.
  let file: KerasFile
  let layers: [Layer]
  let graph: ModelGraph?
  /// Why there is no graph, nil where there is one.
  let graphAbsence: String?
  /// The version of Keras that the file states, which may be older than that of `file`.
  let formatVersion: String?
  /// The architecture and whose weight is whose, nil without an architecture.
  let architecture: Architecture?
  let container: KerasContainer
  /// The weights of the file's layers, by their names.
  let weightsByName: [String: StoredTensor]
  /// What files with layers replaced take, prepared when it is asked for first.
  let sizes = KerasSizesCache()

  struct Architecture: Sendable {
    let model: KerasModel
    let weights: KerasWeights
    /// The input shapes of every call of a layer with kernels, by the layer's path: batch first, nil where unknown.
    let inputShapes: [String: [[Int?]?]]
    let index: KerasIndex
    /// The class of the layer that each weight belongs to, by the weight's name.
    let readers: [String: String]

    /// - Parameter layers: every kernel of the file.
    init(
      model: KerasModel, weights: KerasWeights, inputShapes: [String: [[Int?]?]], _ file: KerasFile, _ layers: [Layer]
    ) {
      self.model = model
      self.weights = weights
      self.inputShapes = inputShapes
      index = KerasIndex(model, weights, file, layers)
      readers = Self.readers(of: model, weights)
    }
  }

  /// Reads a file as it is stored.
  ///
  /// - Throws: `Failure` where the configuration is none of Keras or does not fit the weights.
  init(_ stored: KerasFile, in container: KerasContainer = .hdf5) throws {
    try self.init(stored, in: container, formatVersion: stored.kerasVersion)
  }

  /// Reads a file that states its version itself.
  ///
  /// - Throws: `Failure` where the configuration is none of Keras or does not fit the weights.
  init(_ stored: KerasFile, in container: KerasContainer, formatVersion: String?) throws {
    self.container = container
    self.formatVersion = formatVersion
    file = try stored.upgradedToKeras2().mergingAdapters()
    weightsByName = Dictionary(file.layers.flatMap(\.weights).map { ($0.name, $0) }) { first, _ in first }
    guard let config = file.modelConfig else {
      layers = Self.layersWithoutArchitecture(file)
      graph = nil
      graphAbsence = file.absentArchitecture
      architecture = nil
      return
    }
    let model = try KerasModel(config)
    let weights = try KerasWeights(file, of: model)
    let kernels = try Self.kernels(of: model, weights)
    do {
      let graph = try KerasGraphBuilder(layer: weights.layer).graph(of: model)
      let shapes = try graph.shapes()
      let nodes = graph.kernelNodes
      layers = kernels.map { $0.with(inputExtents: $0.inputExtents(at: nodes[$0.name] ?? [], shapes)) }
      self.graph = graph
      graphAbsence = nil
      let inputShapes = nodes.mapValues { nodes in nodes.map { shapes[$0.inputs[0]] } }
      architecture = Architecture(model: model, weights: weights, inputShapes: inputShapes, file, layers)
    } catch let failure as Failure {
      layers = kernels
      graph = nil
      graphAbsence = failure.description
      architecture = Architecture(model: model, weights: weights, inputShapes: [:], file, layers)
    }
  }

  /// Every kernel in the order of the configuration, nested models where they stand.
  private static func kernels(of model: KerasModel, _ weights: KerasWeights) throws -> [Layer] {
    try model.layers.flatMap { entry in
      if let inner = entry.model { return try kernels(of: inner, weights) }
      if let inner = entry.stepModel {
        return try kernels(of: inner, weights).map { $0.refused("it is inside a TimeDistributed layer") }
      }
      guard let type = KerasLayerType.of(entry), weights.knowsOrder(of: entry) else { return [] }
      return try type.layers(weights.layer(entry)).map { layer in
        guard layer.refusal == nil else { return layer }
        if !layer.dtype.isCompressible { return layer.refused("its kernel is stored as \(layer.dtype.rawValue)") }
        let rows = layer.kernelShape[0] / layer.convolution.groups
        let columns = layer.kernelShape.dropFirst().productIfExact ?? 0
        return min(rows, columns) > 1 ? layer : layer.refused("its kernel is a single vector")
      }
    }
  }
}

extension ArraySlice<Int> {
  fileprivate var productIfExact: Int? { Array(self).productIfExact }
}

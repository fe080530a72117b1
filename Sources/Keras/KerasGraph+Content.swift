import Basics
import Checkpoints
import Foundation
import HDF5
import ModelGraph
import TensorCore

extension KerasGraph: CheckpointContent {
  var format: any CheckpointFormat.Type { KerasFormat.self }

  var formatName: String {
    switch container {
    case .hdf5: "keras-h5"
    case .variables: "keras-weights-h5"
    case .archive: "keras"
    }
  }

  var tensors: [StoredTensor] { file.layers.flatMap(\.weights) + (file.topLevelWeights ?? []) }
  var record: JSON? { file.record }
  var metadata: [String: String]? { nil }

  var computedType: DType { file.modelConfig?.computedType ?? .f32 }
  var innerTensors: [InnerTensor] { [] }
  var readers: [String: String] { architecture?.readers ?? [:] }

  var stateDict: StateDictOptions? { nil }
  var missesArchitecture: Bool {
    switch container {
    case .hdf5, .variables: file.modelConfig == nil && file.record != nil
    case .archive: false
    }
  }

  var takesGraph: Bool { false }
  var lendsGraph: Bool { false }
  var computedFrom: [String: [StoredTensor]] { [:] }

  func with(layers: [Layer]) -> any CheckpointContent { self }

  func layerName(ofKernel tensor: String) -> String? { nil }

  func architecturePath(besides path: String) -> String? {
    file.isWeightsOnly && file.modelConfig != nil ? KerasFormat.architecturePath(besides: path) : nil
  }

  var scaleType: DType { .f32 }

  var floatTypeBesideIntegers: DType? { .f16 }

  var grids: [String: IntegerGrid] { [:] }

  func storage(_ width: BitWidth) -> WeightStorage { .levels(width) }

  func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    KerasCoding.refusal(of: storage, for: layer)
  }

  func refusal(of stages: [Stage], for layer: Layer) -> String? {
    KerasEditor(self).refusal(of: stages, for: layer)
  }

  func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    try KerasEditor(self).partNames(replacing: replacements)
  }

  func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] { [] }

  func byteCount(of vector: IntegerVector) throws -> Int {
    preconditionFailure("a Keras file holds no integers for its layers")
  }

  /// The lists of names are as wide as the longest. A configuration that grows beyond 64 kB leaves the object header for a heap of its own, which
  /// takes up to 2,300 bytes more; the structures of a network make it two or three times longer at most.
  var sizeSlack: Int {
    let configuration = file.modelConfig?.text().utf8.count ?? 0
    return 64 + 48 * layers.count + (configuration > 20_000 ? 2560 : 0)
  }

  func byteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try sizes.sizes(of: self).byteCount(replacements, record: record)
  }

  func provenByteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try byteCount(replacing: replacements, record: record, counting: HDF5File.writtenByteCount)
  }

  /// The bytes of the whole changed file.
  ///
  /// - Parameter count: Tells what an HDF5 tree takes as a file.
  /// - Throws: `Failure` where a layer cannot be replaced.
  func byteCount(
    replacing replacements: [Replacement], record: JSON, counting count: (HDF5Group) throws -> Int
  ) throws -> Int {
    let file = try KerasEditor(self).replacing(replacements, record: record)
    switch container {
    case .hdf5: return try count(file.hdf5)
    case .variables(let variables): return try count(variables.root(of: file))
    case .archive(let archive):
      return archive.byteCount(
        config: file.architectureText?.utf8.count, record: record.text().utf8.count,
        weights: try count(archive.variables.hdf5(of: file)))
    }
  }

  func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool, source: String
  ) throws {
    let file = try Failure.within(source) { try KerasEditor(self).replacing(replacements, record: record) }
    switch container {
    case .hdf5: try write(file.hdf5, of: file, to: path, overwrite: overwrite)
    case .variables(let variables):
      try write(try variables.root(of: file), of: file, to: path, overwrite: overwrite)
    case .archive(let archive):
      try OutputFile.write(try archive.fileBytes(file), to: path, overwrite: overwrite)
    }
  }

  /// Writes an HDF5 file, and the architecture beside it where the file does not hold it.
  private func write(_ root: HDF5Group, of file: KerasFile, to path: String, overwrite: Bool) throws {
    func writeRoot(_ temporary: String) throws {
      do {
        try HDF5File.write(root, to: temporary)
      } catch let failure as Failure {
        throw Failure(path, failure.problem, failure.reason, remedy: failure.remedy)
      }
      try OutputFile.makeDurable(temporary, describedAs: path)
    }
    guard let beside = architecturePath(besides: path), let text = file.architectureText else {
      return try OutputFile.replace(path, overwrite: overwrite, writeRoot)
    }
    try OutputFile.replaceSet([beside, path], overwrite: overwrite) { temporaries in
      try OutputFile.create(temporaries[0], describedAs: beside, Data(text.utf8))
      try writeRoot(temporaries[1])
    }
  }

  func refusal(of dtype: DType) -> String? {
    switch container {
    case .hdf5: dtype == .bf16 ? "Keras reads no bfloat16 from this kind of .h5" : nil
    case .variables, .archive: nil
    }
  }

  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? { dtype }

  func substituting(_ changed: [String: StoredTensor]) throws -> any CheckpointContent {
    var file = file
    file.layers = file.layers.map { group in
      KerasFile.LayerGroup(name: group.name, weights: group.weights.map { changed[$0.name] ?? $0 })
    }
    return try KerasGraph(file, in: container, formatVersion: formatVersion)
  }
}

extension KerasVariables {
  /// The whole file of Keras 3's `.weights.h5`.
  ///
  /// - Throws: `Failure` where the file's weights do not fit its configuration.
  fileprivate func root(of file: KerasFile) throws -> HDF5Group {
    var root = try hdf5(of: file)
    if let record = file.record { root.attributes[KerasFile.recordAttribute] = .string(record.text()) }
    return root
  }
}

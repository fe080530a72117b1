import Basics
import Checkpoints
import ModelGraph
import TensorCore

extension ONNXGraph: CheckpointContent {
  var format: any CheckpointFormat.Type { ONNXFormat.self }
  var formatName: String { "onnx" }
  var formatVersion: String? { "opset \(model.opset)" }
  var graph: ModelGraph? { network }
  var graphAbsence: String? { nil }
  var metadata: [String: String]? { nil }
  var computedType: DType { model.computedType }
  var innerTensors: [InnerTensor] { model.innerTensors }
  var readers: [String: String] { model.readers }
  var stateDict: StateDictOptions? { nil }
  var missesArchitecture: Bool { false }
  var takesGraph: Bool { false }
  var lendsGraph: Bool { true }

  func with(layers: [Layer]) -> any CheckpointContent { self }

  func layerName(ofKernel tensor: String) -> String? { nil }

  func architecturePath(besides path: String) -> String? { nil }

  var scaleType: DType { .f32 }

  /// Another type would take Cast nodes, which take more bytes than small tensors save.
  var floatTypeBesideIntegers: DType? { nil }

  func storage(_ width: BitWidth) -> WeightStorage { .integers(width) }

  func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    ONNXEditor(self).refusal(of: storage, for: layer)
  }

  func refusal(of stages: [Stage], for layer: Layer) -> String? {
    ONNXEditor(self).refusal(of: stages, for: layer)
  }

  func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    try ONNXEditor(self).partNames(replacing: replacements)
  }

  func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] {
    try ONNXEditor(self).vectors(of: replacement)
  }

  func byteCount(of vector: IntegerVector) throws -> Int { try ONNXEditor(self).byteCount(of: vector) }

  var sizeSlack: Int { 64 + 4 * layers.count }

  func byteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try ONNXEditor(self).byteCount(replacing: replacements, record: record)
  }

  /// The count is the writer's own.
  func provenByteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try byteCount(replacing: replacements, record: record, at: path)
  }

  func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool, source: String
  ) throws {
    let file = try Failure.within(source) { try ONNXEditor(self).file(replacing: replacements, record: record) }
    try OutputFile.write(to: path, overwrite: overwrite) { try file.write($0) }
  }

  func refusal(of dtype: DType) -> String? {
    dtype == .bf16 && model.opset < 13 ? "version \(model.opset) of the ONNX operators knows no bfloat16" : nil
  }

  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? { model.storableType(dtype, of: tensor) }

  func substituting(_ changed: [String: StoredTensor]) throws -> any CheckpointContent {
    var edit = ONNXEdit(model)
    edit.record = record
    for (name, tensor) in changed.sorted(by: { $0.key < $1.key }) {
      if let grid = grids[name], let integers = model.integers(of: name) {
        edit.substitute(integers, integers: grid.integers(try tensor.decoded(), axis: grid.axis))
        continue
      }
      edit.substitute(tensor, computed: model.constant(named: name)?.type ?? tensor.dtype)
    }
    return try ONNXGraph(try edit.model())
  }
}

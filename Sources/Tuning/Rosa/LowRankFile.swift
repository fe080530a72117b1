import Basics
import Safetensors
import TensorCore
import Training

/// The factors of a checkpoint's kernels in a safetensors file: `conv1.a` (out x R) and `conv1.b` (R x in * taps) for layer `conv1`.
struct LowRankFile {
  static let schema = "kcompress.rosa/1"

  /// The factors by the layers' names.
  var factors: [String: LowRankFactors]
  /// The shapes of the kernels, (out, in / groups, spatial...).
  var shapes: [String: [Int]]
  /// The hash of the checkpoint with the frozen parts.
  var frozenSHA256: String

  /// The bytes of the file.
  var fileBytes: [UInt8] {
    let tensors = factors.sorted { $0.key < $1.key }.flatMap { name, factors in
      [StoredTensor(name: name + ".a", factors.a, as: .f32), StoredTensor(name: name + ".b", factors.b, as: .f32)]
    }
    let document: JSON = [
      "schema": .string(Self.schema), "frozen": .string(frozenSHA256),
      "shapes": .object(JSONObject(shapes.sorted { $0.key < $1.key }.map { ($0.key, JSON.integers($0.value)) })),
    ]
    return SafetensorsFile(tensors: tensors, metadata: ["kcompress": document.text()]).fileBytes
  }

  init(factors: [String: LowRankFactors], shapes: [String: [Int]], frozenSHA256: String) {
    self.factors = factors
    self.shapes = shapes
    self.frozenSHA256 = frozenSHA256
  }

  /// - Throws: `Failure` where the file holds no factors, or they do not belong together.
  init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    func damaged(_ reason: String) -> Failure {
      Failure(path, "holds no factors", reason, remedy: "give what rosa split wrote")
    }
    guard let text = file.metadata["kcompress"], let document = try? JSON(parsing: Array(text.utf8)),
      document["schema"]?.string == Self.schema, let shapes = document["shapes"]?.object,
      let frozen = document["frozen"]?.string
    else { throw damaged("its description is missing") }
    let named = Dictionary(file.tensors.map { ($0.name, $0) }) { first, _ in first }
    var result: [String: LowRankFactors] = [:]
    self.shapes = [:]
    for (name, value) in shapes.pairs {
      guard let shape = value.integers, let first = shape.first, let columns = Array(shape.dropFirst()).productIfExact,
        let a = try named[name + ".a"]?.decoded(as: Float.self),
        let b = try named[name + ".b"]?.decoded(as: Float.self),
        a.order == 2, b.order == 2, a.shape[0] == first, b.shape[1] == columns, a.shape[1] == b.shape[0]
      else { throw damaged("the factors of '\(name)' are missing or have other shapes") }
      result[name] = LowRankFactors(a: a, b: b)
      self.shapes[name] = shape
    }
    guard !result.isEmpty else { throw damaged("it is empty") }
    factors = result
    frozenSHA256 = frozen
  }
}

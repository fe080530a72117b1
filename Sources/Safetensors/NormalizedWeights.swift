import Basics
import TensorCore

/// Weights that a module computes from other tensors before it uses them: `weight_norm` keeps a direction and a length of every channel,
/// `spectral_norm` a weight and its largest singular vectors. What they stand for takes their place, under the plain name.
enum NormalizedWeights {
  /// The tensors with plain weights, and how many were computed.
  ///
  /// - Throws: `Failure` about a tensor where its parts do not fit each other.
  static func plain(_ tensors: [StoredTensor]) throws -> (tensors: [StoredTensor], count: Int) {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    var computed: [String: StoredTensor] = [:]
    var parts: Set<String> = []
    for tensor in tensors {
      for form in forms where tensor.name.hasSuffix(form.suffix) {
        let prefix = String(tensor.name.dropLast(form.suffix.count))
        let others = form.others.compactMap { byName[prefix + $0] }
        let name = prefix + form.plain
        guard prefix.isEmpty || prefix.hasSuffix("."), others.count == form.others.count, byName[name] == nil,
          tensor.dtype.isCompressible, others.allSatisfy(\.dtype.isCompressible)
        else { continue }
        let values = try Failure.within("tensor '\(tensor.name)'") {
          try form.isSpectral ? spectral(tensor, others) : scaled(tensor, others[0])
        }
        computed[tensor.name] = StoredTensor(name: name, values, as: tensor.dtype)
        parts.formUnion(others.map(\.name))
      }
    }
    guard !computed.isEmpty else { return (tensors, 0) }
    return (tensors.filter { !parts.contains($0.name) }.map { computed[$0.name] ?? $0 }, computed.count)
  }

  /// How the parts of a weight are named, the one of the weight's shape first.
  private struct Form {
    let suffix: String
    let others: [String]
    let plain: String
    let isSpectral: Bool
  }

  private static let forms = ["weight", "bias", "in_proj_weight", "weight_ih_l0", "weight_hh_l0"].flatMap { name in
    [
      Form(suffix: "\(name)_v", others: ["\(name)_g"], plain: name, isSpectral: false),
      Form(
        suffix: "parametrizations.\(name).original1", others: ["parametrizations.\(name).original0"], plain: name,
        isSpectral: false),
      Form(suffix: "\(name)_orig", others: ["\(name)_u", "\(name)_v"], plain: name, isSpectral: true),
      Form(
        suffix: "parametrizations.\(name).original",
        others: ["parametrizations.\(name).0._u", "parametrizations.\(name).0._v"], plain: name, isSpectral: true),
    ]
  }

  private static let doNotFit = Failure(
    "", "cannot be read", "the parts that it is computed from do not fit each other")

  /// g v / ||v||, the norm over all axes along which g is one long.
  private static func scaled(_ direction: StoredTensor, _ length: StoredTensor) throws -> Tensor<Double> {
    let v: Tensor<Double> = try direction.decoded()
    let g: Tensor<Double> = try length.decoded()
    let shape = v.shape
    let kept = g.shape.isEmpty || g.shape == [1] ? Array(repeating: 1, count: shape.count) : g.shape
    guard kept.count == shape.count, zip(kept, shape).allSatisfy({ $0 == 1 || $0 == $1 }) else { throw doNotFit }
    var places = Array(repeating: 0, count: v.elements.count)
    var (block, stride) = (1, 1)
    for axis in shape.indices.reversed() {
      if kept[axis] > 1 {
        for i in places.indices { places[i] += i / block % shape[axis] * stride }
        stride *= kept[axis]
      }
      block *= max(1, shape[axis])
    }
    var squares = Array(repeating: 0.0, count: max(1, g.elements.count))
    for (i, place) in places.enumerated() { squares[place] += v.elements[i] * v.elements[i] }
    let factors = zip(g.elements, squares).map { $0 / $1.squareRoot() }
    return Tensor(shape: shape, elements: zip(v.elements, places).map { $0 * factors[$1] })
  }

  /// W / (u^T W v), with W as a matrix whose rows are the first or, for transposed convolutions, the second axis.
  private static func spectral(_ weight: StoredTensor, _ vectors: [StoredTensor]) throws -> Tensor<Double> {
    let w: Tensor<Double> = try weight.decoded()
    let u: Tensor<Double> = try vectors[0].decoded()
    let v: Tensor<Double> = try vectors[1].decoded()
    var largest: Double?
    for axis in 0..<min(2, w.shape.count) {
      let rows = w.shape[axis]
      guard rows > 0, u.elements.count == rows, v.elements.count * rows == w.elements.count else { continue }
      let order = [axis] + w.shape.indices.filter { $0 != axis }
      let matrix = w.permuted(order).elements
      let columns = v.elements.count
      let sigma = u.elements.indices.reduce(0.0) { sum, row in
        sum + u.elements[row] * v.elements.indices.reduce(0.0) { $0 + matrix[row * columns + $1] * v.elements[$1] }
      }
      // Where both axes fit, the singular vectors are those of the one that gives the larger value.
      if abs(sigma) > abs(largest ?? 0) { largest = sigma }
    }
    guard let largest, largest != 0 else { throw doNotFit }
    return Tensor(shape: w.shape, elements: w.elements.map { $0 / largest })
  }
}

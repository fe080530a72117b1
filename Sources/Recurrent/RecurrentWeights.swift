import TensorCore

/// The parameters of a model in the form in which a pass multiplies them; made once for each step of the optimiser.
///
/// Whatever depends on the input symbol alone is a table with one row for each symbol: a state becomes
/// tanh(bilinear + gain[x] . V h + offset[x]), with offset[x] = U x + b, and for the gated term gain[x] = alpha . U x + beta1 and
/// offset[x] = beta2 . U x + b.
package struct RecurrentWeights: Sendable {
  package let shape: RecurrentShape
  let values: [RecurrentParameter: [Float]]
  /// What each symbol adds to the sums (d x n).
  let offset: [Float]
  /// What each symbol multiplies V h by (d x n); empty where no gate is.
  let gain: [Float]
  /// The matrix A[.., .., x] + V of each symbol (d, out, in); empty without a tensor.
  let merged: [Float]

  package init(_ model: RecurrentModel) {
    shape = model.shape
    let (n, d) = (shape.hidden, shape.inputs)
    var values: [RecurrentParameter: [Float]] = [:]
    for parameter in shape.parameters { values[parameter] = model[parameter].elements }
    self.values = values
    let bias = values[.bias] ?? []
    let input = values[.input] ?? []
    let (alpha, beta1, beta2) = (values[.alpha] ?? [], values[.beta1] ?? [], values[.beta2] ?? [])
    let isGated = shape.kind.bilinear == .gated
    var offset = [Float](repeating: 0, count: d * n)
    var gain = [Float](repeating: 0, count: isGated ? d * n : 0)
    for symbol in 0..<d {
      for i in 0..<n {
        let place = symbol * n + i
        let own = input.isEmpty ? 0 : input[place]
        offset[place] = (isGated ? beta2[i] * own : own) + bias[i]
        if isGated { gain[place] = alpha[i] * own + beta1[i] }
      }
    }
    (self.offset, self.gain) = (offset, gain)
    var merged: [Float] = []
    if let tensor = values[.tensor] {
      merged = tensor
      if let hidden = values[.hidden] {
        for start in stride(from: 0, to: merged.count, by: n * n) {
          for i in 0..<n * n { merged[start + i] += hidden[i] }
        }
      }
    }
    self.merged = merged
  }

  subscript(parameter: RecurrentParameter) -> [Float] { values[parameter] ?? [] }
}

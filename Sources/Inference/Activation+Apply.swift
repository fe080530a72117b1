import Foundation
import ModelGraph

extension Activation {
  /// Applies an element-wise function in place; definitions as in Keras 3.
  func apply(to x: inout MutableSpan<Float>) {
    switch self {
    case .linear: break
    case .relu(0, 0, nil): each(&x) { max($0, 0) }
    case .relu(0, 0, let maximum?): each(&x) { min(max($0, 0), maximum) }
    case .relu(let slope, 0, nil): each(&x) { $0 < 0 ? slope * $0 : $0 }
    case .relu(let slope, let threshold, let maximum):
      let maximum = maximum ?? .infinity
      each(&x) { $0 < threshold ? slope * ($0 - threshold) : min($0, maximum) }
    case .sigmoid: each(&x) { logistic($0) }
    case .tanh: each(&x) { tanhf($0) }
    case .softplus: each(&x) { softplusValue($0) }
    case .softsign: each(&x) { $0 / (1 + abs($0)) }
    case .exponential: each(&x) { expf($0) }
    case .silu: each(&x) { $0 * logistic($0) }
    case .mish: each(&x) { $0 * tanhf(softplusValue($0)) }
    case .logSigmoid: each(&x) { -softplusValue(-$0) }
    case .hardSigmoidKeras2: each(&x) { min(max(0.2 * $0 + 0.5, 0), 1) }
    case .hardSigmoid: each(&x) { min(max($0 + 3, 0), 6) / 6 }
    case .hardSilu: each(&x) { $0 * min(max($0 + 3, 0), 6) / 6 }
    case .hardTanh: each(&x) { min(max($0, -1), 1) }
    case .tanhShrink: each(&x) { $0 - tanhf($0) }
    case .sparsePlus: each(&x) { $0 <= -1 ? 0 : $0 < 1 ? ($0 + 1) * ($0 + 1) / 4 : $0 }
    case .sparseSigmoid: each(&x) { min(max(0.5 * ($0 + 1), 0), 1) }
    case .squareplus(let b): each(&x) { ($0 + ($0 * $0 + b).squareRoot()) / 2 }
    case .elu(let alpha): each(&x) { $0 > 0 ? $0 : alpha * expm1f($0) }
    case .celu(let alpha): each(&x) { $0 > 0 ? $0 : alpha * expm1f($0 / alpha) }
    case .selu: each(&x) { 1.050_700_987_355_480_5 * ($0 > 0 ? $0 : 1.673_263_242_354_377_2 * expm1f($0)) }
    case .gelu(false): each(&x) { 0.5 * $0 * (1 + erff($0 * 0.707_106_781_186_547_5)) }
    case .gelu(true):
      each(&x) { 0.5 * $0 * (1 + tanhf(0.797_884_560_802_865_4 * ($0 + 0.044715 * $0 * $0 * $0))) }
    case .softShrink(let threshold):
      each(&x) { $0 > threshold ? $0 - threshold : $0 < -threshold ? $0 + threshold : $0 * 0 }
    case .hardShrink(let threshold): each(&x) { abs($0) <= threshold ? 0 : $0 }
    case .threshold(let threshold, let value): each(&x) { $0 <= threshold ? value : $0 }
    case .softmax, .logSoftmax, .sparsemax, .glu:
      preconditionFailure("\(self) needs its neighbours")
    }
  }
}

@inline(__always)
private func each(_ x: inout MutableSpan<Float>, _ function: (Float) -> Float) {
  for i in 0..<x.count { x[i] = function(x[i]) }
}

@inline(__always)
func logistic(_ x: Float) -> Float { 1 / (1 + fastExponential(-x)) }

@inline(__always)
func softplusValue(_ x: Float) -> Float { max(x, 0) + log1pf(expf(-abs(x))) }

/// exp to within 2 units in the last place, without a branch so that loops over it vectorise. Arguments beyond the range of
/// normal numbers give the nearest end of that range.
@inlinable @inline(__always)
package func fastExponential(_ argument: Float) -> Float {
  let x = max(min(argument, 88), -87)
  // Adding 1.5 * 2^23 leaves the rounded integer in the low bits.
  let magic: Float = 12_582_912
  let shifted = x * 1.442_695_04 + magic
  let power = shifted - magic
  // ln 2 in two parts: the first has few bits, so that its product with `power` is exact.
  let r = (x - power * 0.693_359_375) - power * -2.121_944_4e-4
  // Cephes' minimax polynomial for (exp(r) - 1 - r) / r^2.
  var p: Float = 1.987_569_15e-4
  p = p * r + 1.398_199_95e-3
  p = p * r + 8.333_451_9e-3
  p = p * r + 4.166_579_6e-2
  p = p * r + 1.666_666_55e-1
  p = p * r + 5.000_000_1e-1
  let mantissa = p * r * r + r + 1
  return Float(bitPattern: mantissa.bitPattern &+ (shifted.bitPattern &<< 23))
}

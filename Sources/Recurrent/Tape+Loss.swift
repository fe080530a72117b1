import Foundation
import Inference

extension Tape {
  /// The sum over all positions of -log p(target), and of p the gradient by the logits in their place, where one is wanted.
  ///
  /// - Parameter scale: of the gradient; nil leaves the logits.
  mutating func crossEntropy(_ targets: [Int], scale: Float?) -> Double {
    let d = shape.inputs
    var span = logits.mutableSpan
    // In whole vectors, so that sums run side by side.
    let width = 8
    var exponentials = [Float](repeating: 0, count: (d + width - 1) / width * width)
    var loss = 0.0
    for (position, target) in targets.enumerated() {
      let place = position * d
      // A NaN must survive the maximum: it then is the loss.
      var peak = span[place]
      for i in 1..<d where !(span[place + i] <= peak) { peak = span[place + i] }
      for i in 0..<d { exponentials[i] = fastExponential(span[place + i] - peak) }
      var sums = SIMD8<Float>.zero
      for i in stride(from: 0, to: exponentials.count, by: width) {
        for lane in 0..<width { sums[lane] += exponentials[i + lane] }
      }
      let sum = sums.sum()
      loss += Double(peak - span[place + target]) + log(Double(sum))
      guard let scale else { continue }
      let part = scale / sum
      for i in 0..<d { span[place + i] = exponentials[i] * part }
      span[place + target] -= scale
    }
    return loss
  }
}

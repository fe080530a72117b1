import Basics
import TensorCore

/// Turns gradients into steps of parameters, which are arrays with names.
///
/// What it remembers of a parameter begins at that parameter's first gradient. Equal calls give equal parameters, whatever the order of
/// the dictionaries.
package struct Optimizer: Sendable, Equatable {
  /// How a gradient becomes a step.
  package enum Rule: Sendable, Equatable {
    /// Gradient descent with momentum: v <- momentum v + g; p <- p - rate (g + momentum v) with Nesterov's look ahead,
    /// else p - rate v (Sutskever et al., 2013).
    case descent(momentum: Float, nesterov: Bool)
    /// Adam with decay apart from the gradient (Loshchilov and Hutter, 2019).
    case adaptive(first: Float, second: Float, epsilon: Float)

    /// Nesterov momentum as it is used most.
    package static let nesterov = Rule.descent(momentum: 0.9, nesterov: true)
    /// AdamW with the numbers of its paper.
    package static let adamW = Rule.adaptive(first: 0.9, second: 0.999, epsilon: 1e-8)

    /// Numbers that are remembered for each number of a parameter.
    package var momentCount: Int {
      switch self {
      case .descent(let momentum, _): momentum == 0 ? 0 : 1
      case .adaptive: 2
      }
    }
  }

  /// What is remembered of one parameter.
  struct Memory: Sendable, Equatable {
    var steps = 0
    /// The moments of the parameter: as many as the rule says, each of the parameter's count.
    var moments: [[Float]]
  }

  /// How a gradient becomes a step.
  package let rule: Rule
  /// Added to the gradient as a part of the parameter; with AdamW the parameter shrinks by it times the rate instead.
  package let decay: Float
  /// Parameters that do not decay: biases and normalisations, say.
  package let undecayed: Set<String>
  var memories: [String: Memory] = [:]

  /// An optimiser that remembers nothing yet.
  package init(_ rule: Rule, decay: Float = 0, undecayed: Set<String> = []) {
    self.rule = rule
    self.decay = decay
    self.undecayed = undecayed
  }

  /// Takes one step.
  ///
  /// - Parameters:
  ///   - parameters: those without a gradient stay.
  ///   - gradients: each of its parameter's shape.
  ///   - rate: the length of the step.
  /// - Precondition: every gradient has its parameter.
  package mutating func step(
    _ parameters: inout [String: Tensor<Float>], _ gradients: [String: Tensor<Float>], rate: Float
  ) {
    for (name, gradient) in gradients {
      guard let parameter = parameters[name] else { preconditionFailure("there is no parameter '\(name)'") }
      precondition(parameter.shape == gradient.shape, "\(gradient.shape) is no gradient of \(parameter.shape)")
      // Taken out of the dictionary, arrays change in place.
      var memory =
        memories.removeValue(forKey: name)
        ?? Memory(moments: Array(repeating: Array(repeating: 0, count: parameter.count), count: rule.momentCount))
      var values = parameter.elements
      parameters[name] = nil
      memory.steps += 1
      let decay = undecayed.contains(name) ? 0 : decay
      switch rule {
      case .descent(let momentum, let nesterov):
        Self.descend(&values, gradient.elements, &memory, momentum, nesterov, decay: decay, rate: rate)
      case .adaptive(let first, let second, let epsilon):
        Self.adapt(&values, gradient.elements, &memory, first, second, epsilon, decay: decay, rate: rate)
      }
      parameters[name] = Tensor(shape: gradient.shape, elements: values)
      memories[name] = memory
    }
  }

  /// Forgets what is remembered of some parameters, which have become others.
  package mutating func forget(_ names: some Sequence<String>) {
    for name in names { memories[name] = nil }
  }

  private static func descend(
    _ values: inout [Float], _ gradient: [Float], _ memory: inout Memory, _ momentum: Float, _ nesterov: Bool,
    decay: Float, rate: Float
  ) {
    guard momentum != 0 else {
      for i in values.indices { values[i] -= rate * (gradient[i] + decay * values[i]) }
      return
    }
    for i in values.indices {
      let slope = gradient[i] + decay * values[i]
      let velocity = momentum * memory.moments[0][i] + slope
      memory.moments[0][i] = velocity
      values[i] -= rate * (nesterov ? slope + momentum * velocity : velocity)
    }
  }

  private static func adapt(
    _ values: inout [Float], _ gradient: [Float], _ memory: inout Memory, _ first: Float, _ second: Float,
    _ epsilon: Float, decay: Float, rate: Float
  ) {
    // The moments begin at 0; these corrections make up for it.
    let meanPart = 1 - power(first, memory.steps)
    let squarePart = (1 - power(second, memory.steps)).squareRoot()
    let length = rate / meanPart
    for i in values.indices {
      let slope = gradient[i]
      let mean = first * memory.moments[0][i] + (1 - first) * slope
      let square = second * memory.moments[1][i] + (1 - second) * slope * slope
      memory.moments[0][i] = mean
      memory.moments[1][i] = square
      values[i] -= rate * decay * values[i] + length * mean / (square.squareRoot() / squarePart + epsilon)
    }
  }

  private static func power(_ base: Float, _ exponent: Int) -> Float {
    var (result, square, rest) = (1.0, Double(base), exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return Float(result)
  }
}

import Basics
import TensorCore

extension Optimizer {
  /// All that is remembered, for a file: of parameter `w`, `w/steps` (one number) and `w/moment 0`, `w/moment 1`; ordered by name.
  package var stored: [StoredTensor] {
    memories.sorted { $0.key < $1.key }.flatMap { name, memory in
      [StoredTensor(name: "\(name)/steps", Tensor<Double>(shape: [], elements: [Double(memory.steps)]), as: .f64)]
        + memory.moments.enumerated().map { index, moment in
          StoredTensor(name: "\(name)/moment \(index)", Tensor(shape: [moment.count], elements: moment), as: .f32)
        }
    }
  }

  /// Remembers what another optimiser with the same rule stored.
  ///
  /// - Parameter parameters: whose memories are looked for; what has none is left without.
  /// - Throws: `Failure` where a memory is incomplete or does not fit its parameter.
  package mutating func restore(_ stored: [StoredTensor], for parameters: [String: Tensor<Float>]) throws {
    let named = Dictionary(stored.map { ($0.name, $0) }) { first, _ in first }
    memories = [:]
    for (name, parameter) in parameters {
      guard let steps = try named["\(name)/steps"]?.decoded(as: Double.self).elements.first else { continue }
      let moments = try (0..<rule.momentCount).map { index in
        guard let moment = try named["\(name)/moment \(index)"]?.decoded(as: Float.self),
          moment.count == parameter.count
        else {
          throw Failure(
            "the optimiser's state of '\(name)'", "cannot be restored", "moment \(index) is missing or of another size")
        }
        return moment.elements
      }
      guard let count = Int(exactly: steps), count >= 0 else {
        throw Failure("the optimiser's state of '\(name)'", "cannot be restored", "\(steps) is no count of steps")
      }
      memories[name] = Memory(steps: count, moments: moments)
    }
  }
}

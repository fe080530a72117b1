import Foundation
import ModelGraph
import Running
import TensorCore
import Training

/// A network that is trained, with all that it learns from.
///
/// A step takes a batch in slices that do not depend on the number of threads; what they find is added in their order, so that a run gives the
/// same weights on any number.
struct Tuning: Sendable {
  let request: TuneRequest
  let graph: ModelGraph
  let backpropagation: Backpropagation
  /// The original that teaches; nil where labels or targets teach alone.
  let teacher: TuneTeacher?
  let batches: TrainingBatches
  /// Whether what the original says of a view is kept until the view comes again.
  let keepsLessons: Bool
  let loss: TuneLoss
  let judge: TuneJudge
  let workers: Workers

  /// Samples that run through the network and back at once.
  var slice: Int { Self.slice(of: graph) }

  /// Enough for full matrix products, few enough for the caches; a network for batches of one size takes that.
  static func slice(of graph: ModelGraph) -> Int { graph.fixedBatch ?? 32 }
  /// What an epoch's batch counts for in the running statistics of a batch normalisation.
  private static let momentum: Float = 0.1

  /// What one slice of a batch found.
  private struct Part: Sendable {
    var loss = 0.0
    var gradients: [String: Tensor<Float>] = [:]
    var statistics: [String: BatchStatistics] = [:]
  }

  /// Steps of one epoch; a last batch that is not full counts.
  var stepsPerEpoch: Int { (batches.count + request.batchSize - 1) / request.batchSize }

  /// Trains for one epoch.
  ///
  /// - Returns: the mean loss of a sample, NaN where the run diverged.
  /// - Throws: `Failure` where a layer cannot be run.
  func train(_ state: inout TuneState, epoch: Int, progress: (_ done: Int, _ loss: Double) -> Void) throws -> Double {
    let order = batches.order(epoch: epoch)
    let view = batches.view(epoch: epoch)
    if keepsLessons, state.lessons[view] == nil {
      state.lessons[view] = try teacher?.outputs(
        count: batches.count, piece: slice, workers: workers
      ) { try batches.batch(Array($0), view: view).inputs }
    }
    let steps = stepsPerEpoch
    var sum = 0.0
    for step in 0..<steps {
      let done = epoch * steps + step
      if request.method == .rosa, done > 0, done % (request.drawEvery ?? steps) == 0 {
        state.optimizer.forget(try state.weights.drawAgain())
      }
      let range = step * request.batchSize..<min((step + 1) * request.batchSize, order.count)
      let part = try gradients(of: Array(order[range]), view: view, state.lessons[view], state.weights)
      let norm = part.gradients.jointNorm
      guard part.loss.isFinite, norm.isFinite else { return .nan }
      sum += part.loss
      let clipped = request.clip.map { part.gradients.clipped(to: $0) } ?? part.gradients
      state.optimizer.step(&state.weights.parameters, clipped, rate: rate(done, of: request.epochs * steps, state))
      follow(part.statistics, &state.weights)
      progress(step + 1, sum / Double(range.upperBound))
    }
    return sum / Double(max(1, order.count))
  }

  private func rate(_ step: Int, of total: Int, _ state: TuneState) -> Float {
    let factor =
      switch request.schedule {
      case .constant: 1.0
      case .cosine: LearningRate.cosine(warmUp: 0.05).factor(step, of: total)
      case .onecycle: LearningRate.oneCycle(warmUp: 0.2).factor(step, of: total)
      case .plateau: state.plateau.factor
      }
    return Float(request.learningRate * factor)
  }

  /// The loss summed over a batch, and the mean gradient.
  ///
  /// - Parameter lesson: the original's outputs on all samples, where it is known.
  private func gradients(
    of samples: [Int], view: Int, _ lesson: [Tensor<Float>]?, _ weights: TrainedWeights
  ) throws -> Part {
    let starts = Array(stride(from: 0, to: samples.count, by: slice))
    let share = 1 / Float(max(1, samples.count))
    let parts = try workers.map(starts) { start in
      let batch = try batches.batch(Array(samples[start..<min(start + slice, samples.count)]), view: view)
      let expected = try lesson.map { $0.map { $0.picked(batch.indices) } } ?? teacher?.run(batch.inputs)
      return try part(of: batch, expected, share: share, weights)
    }
    return parts.dropFirst().reduce(into: parts.first ?? Part()) { sum, part in
      sum.loss += part.loss
      sum.gradients.add(part.gradients)
      sum.statistics.merge(part.statistics) { $0.joined(with: $1) }
    }
  }

  private func part(
    of batch: TrainingBatches.Batch, _ expected: [Tensor<Float>]?, share: Float, _ weights: TrainedWeights
  ) throws -> Part {
    var part = Part()
    part.statistics = try backpropagation.run(batch.inputs) {
      try weights[$0]
    } outputGradients: { outputs in
      let (loss, gradients) = loss(outputs, original: expected, targets: batch.targets)
      part.loss = loss
      return gradients.map { $0.map { $0 * share } }
    } collect: { reference, gradient in
      part.gradients.add(weights.gradients(reference, gradient))
    }
    return part
  }

  /// Running means and variances follow those of the batch.
  private func follow(_ statistics: [String: BatchStatistics], _ weights: inout TrainedWeights) {
    for node in graph.nodes {
      guard let found = statistics[node.name],
        case .batchNormalization(_, _, _, _, let mean, let variance) = node.operation
      else { continue }
      weights.running[mean.name]?.approach(found.mean, by: Self.momentum)
      // The unbiased estimate, as frameworks have it.
      let correction = Double(found.count) / Double(max(1, found.count - 1))
      weights.running[variance.name]?.approach(found.variance.map { $0 * correction }, by: Self.momentum)
    }
  }
}

extension Tensor where Scalar == Float {
  fileprivate mutating func approach(_ target: [Double], by part: Float) {
    self = Tensor(shape: shape, elements: zip(elements, target).map { $0 + part * (Float($1) - $0) })
  }
}

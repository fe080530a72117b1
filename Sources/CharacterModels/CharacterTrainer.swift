import Basics
import Foundation
import Networks
import Recurrent
import Running
import Training

/// Trains a character model by truncated back-propagation through time: Adam, its rate halved on plateaus of the validation loss.
///
/// Everything random follows from the seed and the number of the epoch, and all else is in the properties: an epoch that begins from
/// stored ones is the epoch that would have followed.
struct CharacterTrainer: Sendable {
  struct Settings: Sendable, Equatable {
    /// The characters of a segment; gradients do not reach further back.
    let steps: Int
    /// Segments that run together.
    let batchSize: Int
    let learningRate: Double
    let state: CharacterLoss.State
    let seed: UInt64
  }

  typealias Epoch = RecurrentTrainingResult.Epoch

  let settings: Settings
  private(set) var model: RecurrentModel
  /// The model after the epoch with the least validation loss.
  private(set) var best: RecurrentModel
  private(set) var optimizer: Optimizer
  private(set) var plateau: PlateauHalving
  private(set) var epochs: [Epoch] = []
  /// The validation loss, in bits per character, of a model that was there before; nil for a new one.
  private(set) var initial: Double?
  /// Where and how the training diverged; nil while it has not.
  private(set) var divergence: String?

  /// The parts into which a batch is divided, whatever the number of threads.
  private static let parts = 2
  static let plateauPatience = 1
  /// A validation loss of more than this many times that of uniform guessing is no state from which training recovers.
  private static let divergenceFactor = 10.0

  init(_ model: RecurrentModel, _ settings: Settings) {
    (self.model, best, self.settings) = (model, model, settings)
    optimizer = Optimizer(.adamW)
    plateau = PlateauHalving(patience: Self.plateauPatience)
  }

  /// Goes on where another one was.
  init(
    _ model: RecurrentModel, best: RecurrentModel, _ settings: Settings, _ optimizer: Optimizer,
    _ plateau: PlateauHalving, _ epochs: [Epoch], initial: Double?
  ) {
    self.initial = initial
    (self.model, self.best, self.settings, self.optimizer, self.epochs) = (model, best, settings, optimizer, epochs)
    self.plateau = plateau
  }

  /// The epoch with the least validation loss, 0 for the model that was there before; nil before there is any.
  var bestEpoch: Int? {
    let losses = [initial ?? .infinity] + epochs.map(\.validation)
    return losses.indices.filter { losses[$0].isFinite }.min { (losses[$0], $0) < (losses[$1], $1) }
  }

  /// Whether all epochs have run, as many as are borne have brought nothing, or the training has diverged.
  func isDone(_ schedule: RecurrentSchedule) -> Bool {
    divergence != nil || epochs.count >= schedule.epochs
      || bestEpoch.map { epochs.count - $0 >= schedule.patience } ?? false
  }

  /// Says how good the model is that training starts from, which is kept unless an epoch is better.
  ///
  /// - Throws: what its run throws.
  mutating func judgeStart(_ validation: [Int], workers: Workers) throws {
    initial = try CharacterLoss.bitsPerCharacter(
      model, validation, steps: settings.steps, settings.state, workers: workers)
  }

  /// Runs one epoch and observes the validation loss. Where a loss becomes no number, or the validation loss is many times that of
  /// uniform guessing and of the model at the start, the training has diverged: `divergence` says where, the epoch does not count,
  /// and the best model stays.
  ///
  /// - Throws: what a thread throws.
  mutating func run(_ training: [Int], validation: [Int], workers: Workers, progress: ProgressHandler) throws {
    let rate = settings.learningRate * plateau.factor
    let batches = batches(training.count)
    let passes = (0..<Self.parts).map { _ in RecurrentPass(model.shape) }
    var states = Array(repeating: [Float](), count: Self.parts)
    var (loss, count) = (0.0, 0)
    for (number, starts) in batches.enumerated() {
      let middle = (starts.count + 1) / Self.parts
      let rows = [starts[..<middle], starts[middle...]].filter { !$0.isEmpty }
      let weights = RecurrentWeights(model)
      let predicted = starts.count * settings.steps
      let (steps, before) = (settings.steps, states)
      let results = try workers.map(Array(rows.indices)) { part in
        passes[part].run(
          weights, Segment(training, starts: Array(rows[part]), steps: steps, states: before[part]),
          gradientScale: 1 / Float(predicted))
      }
      let batchLoss = results.reduce(0) { $0 + $1.loss }
      guard batchLoss.isFinite else {
        divergence = "the loss of batch \(number + 1) of \(batches.count) became no number in epoch \(epochs.count + 1)"
        return
      }
      var gradients = results[0].gradients
      for result in results.dropFirst() { gradients.add(result.gradients) }
      optimizer.step(&model.parameters, gradients, rate: Float(rate))
      if settings.state == .carried {
        for (part, result) in results.enumerated() { states[part] = result.states }
      }
      (loss, count) = (loss + batchLoss, count + predicted)
      progress(
        "epoch \(epochs.count + 1)", number + 1, of: batches.count,
        "\(Format.number(loss / Double(count) / log(2))) bits per character")
    }
    let judged = try CharacterLoss.bitsPerCharacter(
      model, validation, steps: settings.steps, settings.state, workers: workers)
    guard judged.isFinite else {
      divergence = "the validation loss became no number in epoch \(epochs.count + 1)"
      return
    }
    let uniform = log2(Double(model.vocabulary.count))
    guard judged <= max(Self.divergenceFactor * uniform, initial ?? 0) else {
      divergence =
        "the validation loss of epoch \(epochs.count + 1), \(Format.number(judged)) bits per character, is far above the "
        + "\(Format.number(uniform)) of uniform guessing"
      return
    }
    if judged < epochs.map(\.validation).min() ?? .infinity, judged < initial ?? .infinity { best = model }
    epochs.append(Epoch(training: loss / Double(count) / log(2), validation: judged, learningRate: rate))
    plateau.observe(judged)
  }

  /// Where the segments of every batch begin: all over the text in random order, or one after the other in as many places as a batch has
  /// rows.
  private func batches(_ length: Int) -> [[Int]] {
    let (steps, predicted) = (settings.steps, length - 1)
    switch settings.state {
    case .reset:
      var generator = SplitMix64(seed: settings.seed &+ UInt64(epochs.count + 1) &* 0x9E37_79B9_7F4A_7C15)
      let starts = Array(stride(from: 0, through: predicted - steps, by: steps)).shuffled(using: &generator)
      return stride(from: 0, to: starts.count, by: settings.batchSize).map { first in
        Array(starts[first..<min(first + settings.batchSize, starts.count)])
      }
    case .carried:
      let streams = max(1, min(settings.batchSize, predicted / steps))
      let size = predicted / streams
      return stride(from: 0, through: size - steps, by: steps).map { place in
        (0..<streams).map { $0 * size + place }
      }
    }
  }
}

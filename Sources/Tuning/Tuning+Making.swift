import Basics
import Checkpoints
import Inference
import Running
import Training

extension Tuning {
  /// Samples of which at least this many are left to learn from.
  private static let leastSamples = 8

  /// - Throws: `Failure` where the data does not fit or nothing teaches.
  init(
    _ request: TuneRequest, _ checkpoint: Checkpoint, _ original: Checkpoint?, _ weights: TrainedWeights,
    workers: Workers
  ) throws {
    let graph = try checkpoint.trainableGraph
    let samples = try SampleFile(request.data, for: graph, request.preparation)
    if let name = try samples.inputs.firstNotFinite {
      throw Failure(request.data, "cannot be learned from", "input '\(name)' holds NaN or infinite values")
    }
    self.request = request
    self.graph = graph
    self.workers = workers
    let teacher = try original.map {
      try TuneTeacher(
        $0, of: checkpoint, graph, hasFeatures: request.features > 0,
        inputs: try samples.inputs.samples([0]).mapValues(\.shape))
    }
    guard request.features == 0 || teacher != nil else {
      throw Failure(
        checkpoint.path, "has no features to learn", "the original is not at hand",
        remedy: "give --original, or leave --features out")
    }
    self.teacher = teacher
    backpropagation = Backpropagation(
      graph.showing(teacher?.features ?? []), trained: weights.trained, statistics: request.statistics)
    let count = samples.count
    let held = min(count - 1, max(1, Int((Double(count) * request.heldOut).rounded())))
    let learned = count - held
    guard learned >= Self.leastSamples else {
      throw Failure(
        request.data, "cannot be learned from", "it gives \(count) samples", remedy: "give a few hundred at least")
    }
    let heldInputs = try samples.inputs.samples(learned..<count)
    let piece = Self.slice(of: graph)
    let student = try Engine(graph) { try weights[$0] }
    let studentOutputs = try student.outputs(of: heldInputs, piece: piece, workers: workers)
    let expected = try teacher?.outputs(count: held, piece: piece, workers: workers) { range in
      heldInputs.mapValues { $0.samples(range) }
    }
    let examples =
      try request.features > 0 ? teacher?.run(heldInputs.mapValues { $0.samples(0..<min(held, piece)) }) ?? [] : []
    for (index, output) in studentOutputs.enumerated() {
      guard output.shape.first == held,
        expected.map({ $0.indices.contains(index) && $0[index].shape == output.shape }) ?? true
      else {
        throw Failure(
          original?.path ?? checkpoint.path, "cannot teach '\(checkpoint.path)'",
          "output \(index) has the shape \(expected?[index].shape ?? []), the network gives \(output.shape)",
          remedy: "give the checkpoint that was compressed")
      }
    }
    guard (expected ?? studentOutputs).allSatisfy(\.isFinite) else {
      throw Failure(
        request.data, "cannot be learned from", "the network's outputs on it hold NaN or infinite values",
        remedy: "check --input-scale, --input-mean and --input-std")
    }
    let targets = request.usesLabels ? try samples.targets(for: studentOutputs[0]) : nil
    try request.checkAugmentations(
      images: heldInputs.values.contains { ImageBatch($0.shape) != nil },
      targetOrder: targets?.order ?? 0)
    guard teacher != nil || targets != nil else {
      throw Failure(
        checkpoint.path, "has nobody to learn from", "the original is not at hand and labels are not asked for",
        remedy: "give --original, or --labels with labelled data")
    }
    let labelPart = teacher == nil ? 1 : targets == nil ? 0 : request.labelPart
    loss = TuneLoss(
      examples: expected ?? studentOutputs, labelPart: labelPart, temperature: request.temperature,
      features: Array(examples.dropFirst(graph.outputs.count)), featureFactor: request.features)
    batches = TrainingBatches(
      inputs: samples.inputs, count: learned, targets: targets?.samples(0..<learned),
      augmentations: request.augmentations, views: request.views, seed: request.seed)
    keepsLessons = teacher?.features.isEmpty == true && batches.repeats
    judge = TuneJudge(
      graph: graph, inputs: heldInputs, expected: expected, targets: targets?.samples(learned..<count), loss: loss,
      test: try request.test.map { try Samples(test: $0, for: graph, request.preparation, output: studentOutputs[0]) },
      workers: workers)
  }

  /// What the user should know.
  var notices: [String] {
    let unreached = backpropagation.unreached
    guard let first = unreached.first else { return [] }
    return [
      "\(unreached.count == 1 ? "'\(first)' stays" : "\(unreached.count) tensors, '\(first)' first, stay") as they are: an operation behind them has no gradient"
    ]
  }
}

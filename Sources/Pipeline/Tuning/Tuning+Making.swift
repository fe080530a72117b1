import Basics
import Checkpoints
import Inference
import ModelGraph
import TensorCore
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
    let teacherGraph = try original.map { original in
      guard let own = original.graph else {
        throw Failure(
          original.path, "cannot teach", original.graphAbsence ?? "it has no graph",
          remedy: "give an ONNX export of it with --graph")
      }
      return own
    }
    let features = try request.features > 0 ? Self.features(request, checkpoint, graph, teacherGraph, samples) : []
    backpropagation = Backpropagation(
      graph.showing(features), trained: weights.trained, statistics: request.statistics)
    let teacher = try original.flatMap { original in
      try teacherGraph.map { own in try Engine(own.showing(features)) { try original.parameter($0) } }
    }
    self.teacher = teacher
    let count = samples.count
    let held = min(count - 1, max(1, Int((Double(count) * request.heldOut).rounded())))
    let learned = count - held
    guard learned >= Self.leastSamples else {
      throw Failure(
        request.data, "cannot be learned from", "it gives \(count) samples", remedy: "give a few hundred at least")
    }
    let heldInputs = try samples.inputs.samples(learned..<count)
    let piece = graph.fixedBatch ?? Self.usualSlice
    slice = piece
    let student = try Engine(graph) { try weights[$0] }
    let studentOutputs = try student.outputs(of: heldInputs, piece: piece, workers: workers)
    let expected = try original.flatMap { original in
      try teacherGraph.map { own in
        try Engine(own) { try original.parameter($0) }.outputs(of: heldInputs, piece: piece, workers: workers)
      }
    }
    let examples = try features.isEmpty ? nil : teacher?.run(heldInputs.mapValues { $0.samples(0..<min(held, piece)) })
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
      features: Array((examples ?? []).dropFirst(graph.outputs.count)), featureFactor: request.features)
    batches = TrainingBatches(
      inputs: samples.inputs, count: learned, targets: targets?.samples(0..<learned),
      augmentations: request.augmentations, views: request.views, seed: request.seed)
    keepsLessons = teacher != nil && features.isEmpty && batches.repeats
    judge = TuneJudge(
      graph: graph, inputs: heldInputs, expected: expected, targets: targets?.samples(learned..<count), loss: loss,
      test: try request.test.map { try Samples(test: $0, for: graph, request.preparation, output: studentOutputs[0]) },
      workers: workers)
  }

  /// The values inside that teach.
  ///
  /// - Throws: `Failure` where there are none.
  private static func features(
    _ request: TuneRequest, _ checkpoint: Checkpoint, _ graph: ModelGraph, _ original: ModelGraph?,
    _ samples: SampleFile
  ) throws -> [String] {
    func refused(_ reason: String) -> Failure {
      Failure(checkpoint.path, "has no features to learn", reason, remedy: "leave --features out")
    }
    guard let original else { throw refused("the original is not at hand") }
    let inputs = try samples.inputs.samples([0]).mapValues(\.shape)
    let (own, theirs) = (try graph.shapes(inputs: inputs), try original.shapes(inputs: inputs))
    let features = graph.features(sharedWith: original).filter { own[$0] != nil && own[$0] == theirs[$0] }
    guard !features.isEmpty else { throw refused("it shares no value inside with the original") }
    return features
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

extension Checkpoint {
  /// The graph, where it can be trained on batches.
  ///
  /// - Throws: `Failure` that says why it cannot.
  var trainableGraph: ModelGraph {
    get throws {
      guard let graph else {
        throw Failure(
          path, "cannot be trained", graphAbsence ?? "it has no graph", remedy: "give an ONNX export with --graph")
      }
      guard graph.fixedBatch ?? 1 == 1, graph.keepsSamplesApart || graph.fixedBatch == 1 else {
        throw Failure(
          path, "cannot be trained", "the model does not keep samples apart on the first axis of its outputs",
          remedy: "export it with an open batch")
      }
      return graph
    }
  }
}

extension SampleFile {
  /// What labels or targets ask of an output.
  ///
  /// - Parameter output: of some samples; tells the classes.
  /// - Throws: `Failure` where the data has neither, or they do not fit.
  fileprivate func targets(for output: Tensor<Float>) throws -> Tensor<Float> {
    if let labels = try labels {
      guard output.order == 2, output.shape[1] > 1 else {
        throw Failure(
          path, "has labels", "the network's output \(output.shape) has no classes", remedy: "leave --labels out")
      }
      let classes = output.shape[1]
      var elements = [Float](repeating: 0, count: labels.count * classes)
      for (sample, label) in labels.enumerated() {
        guard label < classes else {
          throw Failure(
            path, "array 'labels' holds \(label)", "the network has \(classes) classes",
            remedy: "expected class indices from 0 to \(classes - 1)")
        }
        elements[sample * classes + label] = 1
      }
      return Tensor(shape: [labels.count, classes], elements: elements)
    }
    guard let targets else {
      throw Failure(path, "has no labels", "it holds neither 'labels' nor 'targets'", remedy: "leave --labels out")
    }
    let shape = [count] + output.shape.dropFirst()
    guard targets.count == shape.reduce(1, *) else {
      throw Failure(
        path, "array 'targets' does not fit", "its shape is \(targets.shape), the network gives \(shape)")
    }
    return targets.reshaped(shape)
  }
}

extension Samples {
  /// Samples whose accuracy is told.
  ///
  /// - Parameter output: of some samples; tells the classes.
  /// - Throws: `Failure` where they have no labels of these.
  fileprivate init(
    test path: String, for graph: ModelGraph, _ preparation: SamplePreparation, output: Tensor<Float>
  ) throws {
    var preparation = preparation
    preparation.maximumCount = nil
    try self.init(file: path, for: graph, preparation)
    guard let labels, output.order == 2, labels.allSatisfy({ $0 < output.shape[1] }) else {
      throw Failure(
        path, "gives no accuracy",
        labels == nil ? "it holds no 'labels'" : "its labels are not classes of the network's output \(output.shape)",
        remedy: "leave --test out, or give labelled samples")
    }
    if let name = inputs.keys.sorted().first(where: { inputs[$0]?.isFinite == false }) {
      throw Failure(path, "gives no accuracy", "input '\(name)' holds NaN or infinite values")
    }
  }
}

extension TuneRequest {
  /// - Throws: `Failure` where images are to be changed and there are none, or what is asked of them would not change with them.
  fileprivate func checkAugmentations(images: Bool, targetOrder: Int) throws {
    let moving = augmentations.subtracting([.mix]).map(\.rawValue).sorted()
    guard let first = moving.first else { return }
    guard images else {
      throw Failure(
        data, "cannot be changed by --augment \(first)", "the network's inputs are no images", remedy: "leave it out")
    }
    guard targetOrder < 3 else {
      throw Failure(
        data, "cannot be changed by --augment \(first)", "its targets are images themselves and would stay as they are",
        remedy: "leave --augment or --labels out")
    }
  }
}

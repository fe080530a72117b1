import ArgumentParser
import Basics
import Running
import Training
import Tuning

struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Fine-tune a compressed network on its original's outputs (distillation), or a network on new data.",
    discussion: """
      Writes model.tuned.h5 beside the checkpoint, of the same format and structure. Samples need no labels: the original tells \
      what the outputs should be. The best epoch on samples held out is kept. After every epoch the run's state is put in a file \
      beside the output, from which --resume goes on.
      """)

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @Option(
    help: ArgumentHelp("The network to learn from; else the one that apply recorded.", valueName: "file"),
    completion: .file())
  var original: String?

  @Option(
    help: ArgumentHelp("Samples to learn from (.npz, .npy, .safetensors, .h5).", valueName: "file"), completion: .file()
  )
  var data: String

  @Flag(help: "Learn the data's labels or targets too; alone where there is no original.")
  var labels = false

  @Option(
    help: ArgumentHelp(
      "Labelled samples whose accuracy is told after every epoch; nothing is chosen by them.", valueName: "file"),
    completion: .file())
  var test: String?

  @Option(help: ArgumentHelp("What is trained: factors, full, lora or rosa.", valueName: "method"))
  var method = TuneMethod.full

  @OptionGroup(title: "Training") var training: TrainingOptions
  @OptionGroup(title: "Low rank") var lowRank: LowRankOptions

  @Flag(help: "Go on with an interrupted run, which must have had the same options.")
  var resume = false

  @Flag(help: "Count the memory and stop.")
  var dryRun = false

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the checkpoint goes.", valueName: "file"), completion: .file())
  var output: String?

  @Flag(help: "Replace an output that exists.")
  var overwrite = false

  @OptionGroup var companions: CompanionOptions
  @OptionGroup var samples: SampleOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard labels || training.labelPart == nil else { throw ValidationError("--label-part needs --labels") }
    guard method.isLowRank || lowRank.rank.isEmpty else { throw ValidationError("--rank is for lora and rosa") }
    guard method == .rosa || lowRank.draw == nil && lowRank.drawEvery == nil else {
      throw ValidationError("--draw and --draw-every are for rosa")
    }
  }

  func run() throws {
    var request = TuneRequest(checkpoint: checkpoint, data: data)
    request.original = original
    request.preparation = samples.preparation
    request.test = test
    request.companions = companions.companions
    request.output = output
    request.overwrite = overwrite
    request.resumes = resume
    request.method = method
    request.usesLabels = labels
    training.fill(&request)
    request.ranks = lowRank.rules
    request.draw = lowRank.draw ?? request.draw
    request.drawEvery = lowRank.drawEvery
    request.seed = lowRank.seed
    request.isDry = dryRun
    let result = try common.run(request)
    try common.show(result.json, result.text, notices: result.notices)
    if result.diverged { throw NegativeVerdict() }
  }
}

struct TrainingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Passes over the data.", valueName: "n")) var epochs = 20
  @Option(help: ArgumentHelp("The samples of one optimisation step.", valueName: "n")) var batchSize = 64
  @Option(name: .customLong("batch"), help: .hidden) var oldBatchSize: Int?
  @Option(
    help: ArgumentHelp(
      "The highest learning rate of the schedule; 3e-4 for adamw and 0.01 for the others unless given.", valueName: "x")
  )
  var learningRate: Double?
  @Option(name: .customLong("rate"), help: .hidden) var oldLearningRate: Double?
  @Option(
    help: ArgumentHelp(
      "adamw, nesterov (gradient descent with Nesterov momentum 0.9), or sgd (plain gradient descent).",
      valueName: "name"))
  var optimizer = OptimizerName.adamw
  @Option(
    help: ArgumentHelp(
      "The schedule of the learning rate: constant, cosine, onecycle, or plateau, which halves it where the loss stays.",
      valueName: "name"))
  var schedule = TuneSchedule.onecycle
  @Option(help: ArgumentHelp("The weight decay; biases and normalisations have none.", valueName: "x"))
  var weightDecay = 0.0
  @Option(name: .customLong("decay"), help: .hidden) var oldWeightDecay: Double?
  @Option(help: ArgumentHelp("Gradient clipping: the largest norm of a gradient; 0 for none.", valueName: "x"))
  var clip = 1.0
  @Option(
    help: ArgumentHelp(
      "The temperature of distillation; chosen by the original's outputs unless given.", valueName: "x"))
  var temperature: Double?
  @Option(
    help: ArgumentHelp(
      "Feature distillation: how much values inside the network count that it shares with the original, beside the outputs.",
      valueName: "x"))
  var features = 0.0
  @Option(help: ArgumentHelp("The part of the loss that labels make; a half unless given.", valueName: "x"))
  var labelPart: Double?
  @Option(
    help: ArgumentHelp("Where batch normalisations take means and variances from: stored or batch.", valueName: "name"))
  var statistics = Backpropagation.Statistics.stored
  @Option(
    help: ArgumentHelp(
      "Data augmentation of images: crop, flip, mixup, cutmix, separated by commas.", valueName: "list"))
  var augment = AugmentationList()
  @Option(
    help: ArgumentHelp(
      "Change images in so many ways, taken in turn; the original then looks at each once. New ones in every epoch unless given.",
      valueName: "n"))
  var views: Int?
  @Option(
    help: ArgumentHelp("The validation fraction: the part of the samples that is held out and judges.", valueName: "x"))
  var heldOut = 0.1
  @Option(
    help: ArgumentHelp(
      "Early stopping: end after so many epochs without a lower validation loss; never unless given.", valueName: "n"))
  var patience: Int?

  func validate() throws {
    for (value, name) in [
      (epochs, "--epochs"), (oldBatchSize ?? batchSize, "--batch-size"), (patience ?? 1, "--patience"),
      (views ?? 1, "--views"),
    ]
    where value < 1 {
      throw ValidationError("\(name) must be at least 1, not \(value)")
    }
    for (value, name) in [
      (oldLearningRate ?? learningRate ?? 1, "--learning-rate"), (temperature ?? 1, "--temperature"),
    ]
    where !(value > 0 && value.isFinite) {
      throw ValidationError("\(name) must be a number above 0, not \(value)")
    }
    for (value, name) in [
      (oldWeightDecay ?? weightDecay, "--weight-decay"), (clip, "--clip"), (features, "--features"),
    ]
    where !(value >= 0 && value.isFinite) {
      throw ValidationError("\(name) must be a number from 0, not \(value)")
    }
    if let labelPart, !(0...1).contains(labelPart) {
      throw ValidationError("--label-part must be a part of 1, not \(labelPart)")
    }
    if views != nil, augment.names.isEmpty { throw ValidationError("--views needs --augment") }
    if views != nil, features > 0 {
      throw ValidationError("--views and --features exclude each other: what the original says inside is not kept")
    }
    guard heldOut > 0, heldOut < 1 else { throw ValidationError("--held-out must lie between 0 and 1, not \(heldOut)") }
  }

  func fill(_ request: inout TuneRequest) {
    request.epochs = epochs
    request.batchSize = oldBatchSize ?? batchSize
    request.learningRate = oldLearningRate ?? learningRate ?? optimizer.usualLearningRate
    request.optimizer = optimizer.rule
    request.schedule = schedule
    request.weightDecay = oldWeightDecay ?? weightDecay
    request.clip = clip > 0 ? clip : nil
    request.temperature = temperature
    request.features = features
    request.labelPart = labelPart ?? request.labelPart
    request.statistics = statistics
    request.augmentations = augment.names
    request.views = views
    request.heldOut = heldOut
    request.patience = patience
  }
}

struct LowRankOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The rank of the trained product: a count, or below 1 a part of the kernel's shorter side; GLOB=N for some layers. May be repeated.",
      valueName: "n"))
  var rank: [RankRule] = []
  @Option(
    help: ArgumentHelp(
      "Which singular directions ROSA draws: subset, window, top or bottom; subset unless given.", valueName: "name"))
  var draw: Draw?
  @Option(help: ArgumentHelp("Steps between two draws; an epoch unless given.", valueName: "n")) var drawEvery: Int?
  @Option(help: "The seed of everything random.") var seed: UInt64 = 0

  func validate() throws {
    if let drawEvery, drawEvery < 1 { throw ValidationError("--draw-every must be at least 1, not \(drawEvery)") }
  }

  var rules: [RankRule] { [RankRule(amount: 8)] + rank }
}

enum OptimizerName: String, ExpressibleByArgument, CaseIterable {
  case adamw, nesterov, sgd

  init?(argument: String) {
    // An older name.
    self.init(rawValue: argument == "descent" ? Self.sgd.rawValue : argument)
  }

  var rule: Optimizer.Rule {
    switch self {
    case .adamw: .adamW
    case .nesterov: .nesterov
    case .sgd: .descent(momentum: 0, nesterov: false)
    }
  }

  var usualLearningRate: Double { self == .adamw ? 3e-4 : 0.01 }
}

/// A list of augmentations as an option states it: `crop,flip,cutmix`.
struct AugmentationList: ExpressibleByArgument {
  var names: Set<Augmentation> = []

  init() {}

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let known = parts.compactMap { $0 == "mixup" ? Augmentation.mixup : Augmentation(rawValue: $0) }
    guard known.count == parts.count else { return nil }
    names = Set(known)
  }

  var defaultValueDescription: String { "none" }
}

/// A rule for ranks as an option states it: `8`, `0.25`, `conv1*=4`.
extension RankRule: ExpressibleByArgument {
  package init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count <= 2, let amount = Double(parts[parts.count - 1]), amount > 0, amount < 1e6 else { return nil }
    guard amount < 1 || amount == amount.rounded() else { return nil }
    self.init(layers: Glob(parts.count == 2 ? String(parts[0]) : "*"), amount: amount)
  }
}

extension TuneMethod: ExpressibleByArgument {}
extension TuneSchedule: ExpressibleByArgument {}
extension Draw: ExpressibleByArgument {}
extension Backpropagation.Statistics: ExpressibleByArgument {}

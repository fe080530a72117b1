import Basics
import Training

/// Which weights are trained.
public enum TuneMethod: String, Sendable, CaseIterable {
  /// The factors of compressed layers, and every bias, normalisation and slope.
  case factors
  /// All.
  case full
  /// A product of low rank added to every kernel, begun once (LoRA).
  case lora
  /// Singular directions of every kernel, drawn again and again (ROSA).
  case rosa

  /// Whether products of low rank are trained.
  public var isLowRank: Bool { self == .lora || self == .rosa }
}

/// What is done to images before the original and the compressed network see them.
public enum Augmentation: String, Sendable, CaseIterable {
  /// Moved by up to an eighth of their size.
  case crop
  /// Turned left to right, half of them.
  case flip
  /// Two of them added in random parts (Zhang et al., 2018).
  case mix
  /// A rectangle of another one put onto each (CutMix: Yun et al., 2019).
  case cutmix
}

/// How the length of the steps changes.
public enum TuneSchedule: String, Sendable, CaseIterable { case constant, cosine, onecycle, plateau }

/// The rank of the products that are trained: a count, or below 1 a part of the kernel's shorter side; for the layers that match.
public struct RankRule: Sendable, Equatable {
  public let layers: Glob
  public let amount: Double

  public init(layers: Glob = Glob("*"), amount: Double) {
    self.layers = layers
    self.amount = amount
  }

  /// - Returns: 1 to `side`.
  func rank(side: Int) -> Int { max(1, min(side, Int(amount < 1 ? (amount * Double(side)).rounded() : amount))) }

  var json: JSON { [.string(layers.pattern), .real(amount)] }
}

/// What the user asks `tune` for.
public struct TuneRequest: Sendable {
  public var checkpoint: String
  /// The network to learn from; nil takes the one that apply recorded, where it is at hand, and else labels or targets teach alone.
  public var original: String?
  public var data: String
  public var preparation = SamplePreparation()
  /// Labelled samples whose accuracy is told after every epoch; nothing is chosen by them.
  public var test: String?
  public var companions = Companions()
  /// Nil puts the result beside the checkpoint, as `model.tuned.h5`.
  public var output: String?
  public var overwrite = false
  public var resumes = false

  public var method = TuneMethod.full
  public var epochs = 20
  public var batch = 64
  /// Whether the data's labels or targets count.
  public var usesLabels = false
  /// The part of the loss that labels make.
  public var labelPart = 0.5
  /// Nil takes what softens the original's outputs.
  public var temperature: Double?
  /// How much the mean relative squared error of values inside the network counts, beside the loss of the outputs.
  public var features = 0.0
  public var optimizer = Optimizer.Rule.adamW
  public var rate = 3e-4
  public var schedule = TuneSchedule.onecycle
  public var decay = 0.0
  /// The largest norm of a gradient; nil leaves them.
  public var clip: Double? = 1
  public var statistics = Backpropagation.Statistics.stored
  public var augmentations: Set<Augmentation> = []
  /// Ways in which the samples are changed, taken in turn, so that the original has to look at each once (Shen and Xing, 2022); nil changes them
  /// anew in every epoch.
  public var views: Int?
  /// The part of the samples that judges.
  public var heldOut = 0.1
  /// Epochs without progress after which it ends; nil never ends early.
  public var patience: Int?
  /// Later rules count more.
  public var ranks: [RankRule] = [RankRule(amount: 8)]
  public var draw = Draw.subset
  /// Steps between two draws; nil draws at every epoch.
  public var drawEvery: Int?
  public var seed: UInt64 = 0

  public init(checkpoint: String, data: String) {
    self.checkpoint = checkpoint
    self.data = data
  }

  /// What must be the same where a run goes on.
  var options: JSONObject {
    [
      "method": .string(method.rawValue), "epochs": .integer(epochs), "batch": .integer(batch),
      "labels": .bool(usesLabels), "label_part": .real(labelPart), "temperature": .optional(temperature, JSON.real),
      "features": .real(features), "optimizer": .string("\(optimizer)"), "rate": .real(rate),
      "schedule": .string(schedule.rawValue),
      "decay": .real(decay), "clip": .optional(clip, JSON.real), "statistics": .string(statistics.rawValue),
      "augment": .strings(augmentations.map(\.rawValue).sorted()), "views": .optional(views, JSON.integer),
      "held_out": .real(heldOut),
      "patience": .optional(patience, JSON.integer), "ranks": .array(ranks.map(\.json)), "draw": .string(draw.rawValue),
      "draw_every": .optional(drawEvery, JSON.integer), "seed": .number(String(seed)),
      "input_scale": .optional(preparation.scale, JSON.real), "input_mean": .array(preparation.mean.map(JSON.real)),
      "input_std": .array(preparation.standardDeviation.map(JSON.real)),
      "max_samples": .optional(preparation.maximumCount, JSON.integer),
    ]
  }
}

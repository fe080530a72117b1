import Basics
import Formats
import Running
import Training

/// Which weights are trained.
package enum TuneMethod: String, Sendable, CaseIterable {
  /// The factors of compressed layers, and every bias, normalisation and slope.
  case factors
  /// Every kernel, bias, gain, shift and slope.
  case full
  /// A product of low rank added to every kernel, begun once (LoRA).
  case lora
  /// Singular directions of every kernel, drawn again and again (ROSA).
  case rosa

  /// Whether products of low rank are trained.
  package var isLowRank: Bool { self == .lora || self == .rosa }
}

/// What is done to images before the original and the compressed network see them.
package enum Augmentation: String, Sendable, CaseIterable {
  /// Moved by up to an eighth of their size.
  case crop
  /// Turned left to right, half of them.
  case flip
  /// Two of them added in random parts (mixup: Zhang et al., 2018). Runs that began under its older name go on.
  case mixup = "mix"
  /// A rectangle of another one put onto each (CutMix: Yun et al., 2019).
  case cutmix
}

/// How the learning rate changes over a run.
package enum TuneSchedule: String, Sendable, CaseIterable { case constant, cosine, onecycle, plateau }

/// The rank of the products that are trained: a count, or below 1 a part of the kernel's shorter side; for the layers that match.
package struct RankRule: Sendable, Equatable {
  package let layers: Glob
  package let amount: Double

  package init(layers: Glob = Glob("*"), amount: Double) {
    self.layers = layers
    self.amount = amount
  }

  /// - Returns: 1 to `side`.
  package func rank(side: Int) -> Int {
    max(1, min(side, Int(amount < 1 ? (amount * Double(side)).rounded() : amount)))
  }

  var json: JSON { [.string(layers.pattern), .real(amount)] }
}

/// What the user asks `tune` for.
package struct TuneRequest: Sendable {
  package var checkpoint: String
  /// The network to learn from; nil takes the one that apply recorded, where it is at hand, and else labels or targets teach alone.
  package var original: String?
  package var data: String
  package var preparation = SamplePreparation()
  /// Labelled samples whose accuracy is told after every epoch; nothing is chosen by them.
  package var test: String?
  package var companions = Companions()
  /// Where the result goes; nil puts it beside the checkpoint, as `model.tuned.h5`.
  package var output: String?
  package var overwrite = false
  package var resumes = false
  /// Whether the memory of a run is counted, and nothing is trained.
  package var isDry = false

  package var method = TuneMethod.full
  package var epochs = 20
  /// Samples of one optimisation step.
  package var batchSize = 64
  /// Whether the data's labels or targets count.
  package var usesLabels = false
  /// The part of the loss that labels make.
  package var labelPart = 0.5
  /// The temperature of distillation; nil takes what softens the original's outputs.
  package var temperature: Double?
  /// How much the mean relative squared error of values inside the network counts, beside the loss of the outputs.
  package var features = 0.0
  package var optimizer = Optimizer.Rule.adamW
  /// The highest learning rate of the schedule.
  package var learningRate = 3e-4
  package var schedule = TuneSchedule.onecycle
  package var weightDecay = 0.0
  /// The largest norm of a gradient; nil leaves them.
  package var clip: Double? = 1
  package var statistics = Backpropagation.Statistics.stored
  package var augmentations: Set<Augmentation> = []
  /// Ways in which the samples are changed, taken in turn, so that the original has to look at each once (Shen and Xing, 2022); nil changes them
  /// anew in every epoch.
  package var views: Int?
  /// The part of the samples that judges.
  package var heldOut = 0.1
  /// Epochs without progress after which it ends; nil never ends early.
  package var patience: Int?
  /// Later rules count more.
  package var ranks: [RankRule] = [RankRule(amount: 8)]
  package var draw = Draw.subset
  /// Steps between two draws; nil draws at every epoch.
  package var drawEvery: Int?
  package var seed: UInt64 = 0

  package init(checkpoint: String, data: String) {
    self.checkpoint = checkpoint
    self.data = data
  }

  /// What must be the same where a run goes on.
  var options: JSONObject {
    [
      "method": .string(method.rawValue), "epochs": .integer(epochs), "batch_size": .integer(batchSize),
      "labels": .bool(usesLabels), "label_part": .real(labelPart), "temperature": .optional(temperature, JSON.real),
      "features": .real(features), "optimizer": .string("\(optimizer)"), "learning_rate": .real(learningRate),
      "schedule": .string(schedule.rawValue),
      "weight_decay": .real(weightDecay), "clip": .optional(clip, JSON.real),
      "statistics": .string(statistics.rawValue),
      "augment": .strings(augmentations.map(\.rawValue).sorted()), "views": .optional(views, JSON.integer),
      "held_out": .real(heldOut),
      "patience": .optional(patience, JSON.integer), "ranks": .array(ranks.map(\.json)), "draw": .string(draw.rawValue),
      "draw_every": .optional(drawEvery, JSON.integer), "seed": .seed(seed),
      "input_scale": .optional(preparation.scale, JSON.real), "input_mean": .array(preparation.mean.map(JSON.real)),
      "input_std": .array(preparation.standardDeviation.map(JSON.real)),
      "max_samples": .optional(preparation.maximumCount, JSON.integer),
    ]
  }
}

extension TuneRequest {
  /// - Throws: `Failure` where images are to be changed and there are none, or what is asked of them would not change with them.
  func checkAugmentations(images: Bool, targetOrder: Int) throws {
    let moving = augmentations.subtracting([.mixup]).map(\.rawValue).sorted()
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

import Basics
import TensorCore

/// Which tensors of a file are the network that is meant. Training checkpoints also hold copies of it and what an optimiser remembers.
package struct StateDictSelection: Sendable {
  /// What frameworks put before the names of a network's own modules.
  package static let wrappers = ["module", "_orig_mod", "model", "state_dict", "network", "net"]

  /// The names that are kept, each with its new one; the others are left out.
  package let names: [String: String]
  /// What the user should know about it.
  package let notices: [String]

  /// Chooses among names.
  ///
  /// - Parameter prefix: What the names of the network begin with, before a dot; nil takes all that is no copy and no optimiser's.
  /// - Throws: `Failure` where nothing has the prefix, or where there are copies and none is chosen.
  package init(_ names: [String], prefix: String?) throws {
    if let prefix, !prefix.isEmpty {
      let start = prefix.hasSuffix(".") ? prefix : prefix + "."
      self.names = Dictionary(
        names.filter { $0.hasPrefix(start) }.map { ($0, String($0.dropFirst(start.count))) }
      ) { first, _ in first }
      guard !self.names.isEmpty else {
        let known = Self.ordered(names.map(Self.first)).prefix(8).joined(separator: "', '")
        throw Failure("--prefix '\(prefix)'", "matches nothing", "the names begin with '\(known)'")
      }
      let others = Self.ordered(names.filter { !$0.hasPrefix(start) }.map(Self.first))
      notices =
        others.isEmpty
        ? []
        : ["of the tensors those of '\(prefix)' are taken, and those of '\(others.joined(separator: "', '"))' left out"]
      return
    }
    let kept = names.filter { !Self.isMoment($0) }
    let groups = Dictionary(grouping: kept, by: Self.first)
    for copy in Self.ordered(kept.map(Self.first)) where Self.copies.contains(copy.lowercased()) {
      let suffixes = Set(groups[copy, default: []].map { $0.dropFirst(copy.count + 1) })
      guard suffixes.count > 1 else { continue }
      for (other, members) in groups where other != copy {
        let own = Set(members.map { $0.dropFirst(other.count + 1) })
        guard own.intersection(suffixes).count * 2 > suffixes.count else { continue }
        throw Failure(
          "", "holds a network twice", "under '\(other)' and under '\(copy)'",
          remedy: "choose one: --prefix \(other) or --prefix \(copy)")
      }
    }
    self.names = Dictionary(kept.map { ($0, $0) }) { first, _ in first }
    let count = names.count - kept.count
    notices =
      count == 0 ? [] : ["the optimiser's state (\(count) tensors) is left out: it does not fit compressed weights"]
  }

  /// What averages of a network's weights are called.
  private static let copies: Set<String> = [
    "ema", "ema_model", "model_ema", "ema_state_dict", "state_dict_ema", "shadow", "averaged_model", "swa_model", "swa",
    "target", "teacher", "params_ema",
  ]

  /// Whether a tensor is what an optimiser remembers of a weight.
  private static func isMoment(_ name: String) -> Bool {
    let words = name.split(separator: ".").map(String.init)
    return optimizers.contains(words.first ?? "") && words.count > 1 || words.contains { moments.contains($0) }
  }

  private static let optimizers: Set<String> = [
    "optimizer", "optimizers", "optim", "optimizer_state", "optimizer_states", "optimizer_state_dict",
  ]
  private static let moments: Set<String> = [
    "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta", "exp_inf",
  ]

  private static func first(_ name: String) -> String { String(name.prefix { $0 != "." }) }

  /// Each once, in the order of their first mention.
  private static func ordered(_ names: [String]) -> [String] {
    var known: Set<String> = []
    return names.filter { known.insert($0).inserted }
  }
}

extension SafetensorsSet.Shard {
  /// The shard with the names of a selection, without the tensors that it leaves out.
  func selecting(_ selection: StateDictSelection) -> SafetensorsSet.Shard {
    SafetensorsSet.Shard(
      fileName: fileName, metadata: metadata,
      tensors: tensors.compactMap { tensor in
        selection.names[tensor.name].map { $0 == tensor.name ? tensor : tensor.renamed($0) }
      })
  }
}

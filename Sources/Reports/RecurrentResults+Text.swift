import Basics
import CharacterModels
import Foundation
import Recurrent

extension RecurrentTrainingResult {
  /// The epochs as a table, and where the model is.
  package var text: String {
    var table = TextTable([("epoch", .right), ("training", .right), ("validation", .right), ("learning rate", .right)])
    if let initialBits { table.add(["0", "", Format.number(initialBits), ""]) }
    for (number, epoch) in epochs.enumerated() {
      table.add([
        "\(number + 1)", Format.number(epoch.training), Format.number(epoch.validation),
        Format.number(epoch.learningRate),
      ])
    }
    var lines = [table.text, ""]
    if let divergence {
      let kept = bestEpoch == nil ? "" : "; the best model is kept"
      lines.append("diverged: \(divergence)\(kept) (lower --learning-rate)")
    }
    if let bestEpoch, let bitsPerCharacter {
      lines.append(
        "\(output): \(shape.sentence), \(Format.number(bitsPerCharacter)) bits per character after epoch \(bestEpoch)")
    } else {
      lines.append("\(output): not written, no epoch ended")
    }
    return lines.joined(separator: "\n")
  }
}

extension RecurrentShape {
  /// The shape in words: `cprnn, 128 states, rank 192, 66 inputs, 93378 parameters`.
  package var sentence: String {
    "\(kind.rawValue), \(hidden) states, \(rank > 0 ? "rank \(rank), " : "")\(inputs) inputs, \(parameterCount) parameters"
  }
}

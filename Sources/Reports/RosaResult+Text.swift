import Basics
import Foundation
import Tuning

extension RosaResult {
  /// The layers with their ranks, and the files.
  package var text: String {
    var table = TextTable([("layer", .left), ("kernel", .left), ("rank", .right), ("parameters", .right)])
    for layer in layers {
      table.add([layer.name, Format.shape(layer.shape), "\(layer.rank)", "\(layer.parameters)"])
    }
    let files = [output, factors, adapter].compactMap(\.self).joined(separator: ", ")
    return table.text + "\n" + files
  }
}

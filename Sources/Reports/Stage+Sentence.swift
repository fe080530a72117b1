import Basics
import ModelGraph

extension Stage {
  /// What the stage does, in words.
  package var sentence: String {
    switch self {
    case .convolution(let convolution):
      let window = convolution.window
      let extents = convolution.spatialExtents
      var parts = [
        extents.isEmpty
          ? "linear"
          : (convolution.transposition == nil ? "" : "transposed ")
            + "convolution \(extents.map(String.init).joined(separator: "x"))",
        "\(convolution.inputChannels) -> \(convolution.outputChannels) channels",
      ]
      if convolution.groups > 1 { parts.append("\(convolution.groups) groups") }
      if convolution.batch > 1 { parts.append("one weight for \(convolution.batch) blocks of channels") }
      if window.stride.contains(where: { $0 > 1 }) { parts.append("stride \(Format.shape(window.stride))") }
      if window.dilation.contains(where: { $0 > 1 }) { parts.append("dilation \(Format.shape(window.dilation))") }
      parts.append("\(convolution.parameterCount) parameters")
      return parts.joined(separator: ", ")
    case .permutation(let axes, let order):
      return "channels seen as \(Format.shape(axes)), reordered to \(Format.shape(order.map { axes[$0] }))"
    case .bias(let channels): return "bias, \(channels) channels"
    }
  }
}

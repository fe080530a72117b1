import Basics
import ModelGraph

/// Stages as text that takes few bytes: of a small network the record is a good part of the file.
///
///     8,4,3,3 g2 b4 s2,2 d1,3 p1,1;2,4>1,0;+8
///
/// Stages are separated by semicolons. A convolution is its kernel's shape, then what is not usual: groups, batch, strides, dilations, and the
/// padding: `p1,1` at both ends of every axis, `p1,0:2,0` before and after, `same`, `same_lower` or `causal`. `t` makes it a transposed one, `o0,1`
/// states its output padding. `2,4>1,0` is a permutation of the axes 2 and 4, `+8` a bias of 8 channels.
enum StageText {
  static func text(of stages: [Stage]) -> String { stages.map(text).joined(separator: ";") }

  private static func text(_ stage: Stage) -> String {
    switch stage {
    case .convolution(let convolution): ([list(convolution.kernelShape)] + options(convolution)).joined(separator: " ")
    case .permutation(let axes, let order): list(axes) + ">" + list(order)
    case .bias(let channels): "+\(channels)"
    }
  }

  private static func options(_ convolution: Convolution) -> [String] {
    let window = convolution.window
    var options: [String] = []
    if convolution.groups != 1 { options.append("g\(convolution.groups)") }
    if convolution.batch != 1 { options.append("b\(convolution.batch)") }
    if window.stride.contains(where: { $0 != 1 }) { options.append("s" + list(window.stride)) }
    if window.dilation.contains(where: { $0 != 1 }) { options.append("d" + list(window.dilation)) }
    switch window.padding {
    case .valid: break
    case .same: options.append("same")
    case .sameLower: options.append("same_lower")
    case .causal: options.append("causal")
    case .explicit(let before, let after):
      options.append("p" + list(before) + (before == after ? "" : ":" + list(after)))
    }
    if let transposition = convolution.transposition {
      options.append("t")
      if let padding = transposition.outputPadding { options.append("o" + list(padding)) }
    }
    return options
  }

  private static func list(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: ",") }

  /// The stages in the form that `[Stage].init(parsing:)` reads and checks.
  static func json(_ text: String) -> JSON {
    .array(text.split(separator: ";", omittingEmptySubsequences: false).map(stage))
  }

  private static func stage(_ text: Substring) -> JSON {
    if text.hasPrefix("+") {
      return ["stage": "bias", "channels": Int(text.dropFirst()).map(JSON.integer) ?? .null]
    }
    let sides = text.split(separator: ">", omittingEmptySubsequences: false)
    if sides.count == 2 { return ["stage": "permutation", "axes": numbers(sides[0]), "order": numbers(sides[1])] }
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    let kernel = numbers(parts[0])
    let ones = JSON.integers(Array(repeating: 1, count: max(0, (kernel.array?.count ?? 0) - 2)))
    var object: JSONObject = [
      "stage": "convolution", "kernel": kernel, "groups": 1, "batch": 1, "stride": ones, "dilation": ones,
      "padding": "valid",
    ]
    for part in parts.dropFirst() {
      let rest = part.dropFirst()
      switch part.first {
      case _ where part == "same" || part == "same_lower" || part == "causal": object["padding"] = .string(String(part))
      case "g": object["groups"] = numbers(rest).array?.first
      case "b": object["batch"] = numbers(rest).array?.first
      case "s": object["stride"] = numbers(rest)
      case "d": object["dilation"] = numbers(rest)
      case "p":
        let ends = rest.split(separator: ":", omittingEmptySubsequences: false).map(numbers)
        object["padding"] = ends.count > 2 ? .null : ["before": ends[0], "after": ends[ends.count - 1]]
      case "t" where rest.isEmpty: object["transposed"] = true
      case "o": object["output_padding"] = numbers(rest)
      default: return ["stage": .string(String(text))]
      }
    }
    return .object(object)
  }

  /// Whole numbers; what is none becomes null, which nobody takes for a number.
  private static func numbers(_ text: Substring) -> JSON {
    .array(text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0).map(JSON.integer) ?? .null })
  }
}

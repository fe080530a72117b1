import Basics
import ModelGraph
import TensorCore

/// A layer of the configuration together with its weights: what the builders of `KerasLayerType` read.
package struct KerasLayer: Sendable {
  package let entry: KerasEntry
  /// The major version of Keras that wrote the file; some names changed their meaning with it.
  let majorVersion: Int
  /// The weights by the names that `KerasLayerType.weightNames` gives, `kernel` say.
  package var weights: [String: StoredTensor]

  /// A layer with the weights that are known of it.
  package init(entry: KerasEntry, majorVersion: Int, weights: [String: StoredTensor] = [:]) {
    (self.entry, self.majorVersion, self.weights) = (entry, majorVersion, weights)
  }

  var path: String { entry.path }
  var config: JSON { entry.config }

  /// A failure that names the layer.
  package func failure(_ problem: String, _ reason: String, remedy: String? = nil) -> Failure {
    Failure("layer '\(path)'", problem, reason, remedy: remedy)
  }

  private func misconfigured(_ key: String, remedy: String) -> Failure {
    failure("cannot be read", "its '\(key)' is \(config[key]?.text() ?? "missing")", remedy: remedy)
  }

  /// A value of the configuration, nil where it is absent or null.
  package func value(_ key: String) -> JSON? {
    guard let value = config[key], !value.isNull else { return nil }
    return value
  }

  func bool(_ key: String, default fallback: Bool) -> Bool { value(key)?.bool ?? fallback }

  func real(_ key: String, default fallback: Double? = nil) throws -> Double {
    guard let value = value(key) else {
      guard let fallback else { throw misconfigured(key, remedy: "expected a number") }
      return fallback
    }
    guard let real = value.real, real.isFinite else { throw misconfigured(key, remedy: "expected a number") }
    return real
  }

  func string(_ key: String, default fallback: String) throws -> String {
    guard let value = value(key) else { return fallback }
    guard let string = value.string else { throw misconfigured(key, remedy: "expected a string") }
    return string
  }

  /// A whole number within what a tensor's extent or axis can be.
  func integer(_ key: String, default fallback: Int? = nil, atLeast minimum: Int = 1) throws -> Int {
    guard let value = value(key)?.integer ?? (value(key) == nil ? fallback : nil),
      (minimum...Int(Int32.max)).contains(value)
    else { throw misconfigured(key, remedy: "expected a whole number of at least \(minimum)") }
    return value
  }

  /// One number for each spatial axis; a single one stands for all.
  func extents(
    _ key: String, _ count: Int, default fallback: [Int]? = nil, minimum: Int = 1
  ) throws -> [Int] {
    guard let value = value(key) else {
      guard let fallback else { throw misconfigured(key, remedy: "expected \(count) whole numbers") }
      return fallback
    }
    let extents = value.integers ?? value.integer.map { Array(repeating: $0, count: count) }
    guard let extents, extents.count == count,
      extents.allSatisfy({ (minimum...Int(Int32.max)).contains($0) })
    else { throw misconfigured(key, remedy: "expected \(count) whole numbers of at least \(minimum)") }
    return extents
  }

  /// A pair for each spatial axis, as ZeroPadding and Cropping have them: `1`, `[1, 2]` or `[[1, 1], [2, 2]]`.
  func borders(_ key: String, _ count: Int) throws -> (before: [Int], after: [Int]) {
    func pair(_ json: JSON) -> [Int]? {
      let pair = json.integers ?? json.integer.map { [$0, $0] }
      guard let pair, pair.count == 2, pair.allSatisfy({ (0...Int(Int32.max)).contains($0) }) else {
        return nil
      }
      return pair
    }
    let stated = value(key) ?? 1
    // Of one axis a pair is (before, after); of several, [1, 2] is one number for each.
    let pairs =
      count == 1 && stated.integers?.count != 1
      ? [stated].compactMap(pair)
      : (stated.array ?? Array(repeating: stated, count: count)).compactMap(pair)
    guard pairs.count == count else {
      throw misconfigured(key, remedy: "expected a pair of whole numbers for each of \(count) axes")
    }
    return (pairs.map { $0[0] }, pairs.map { $0[1] })
  }

  /// Where the layer's inputs and outputs have their channels.
  ///
  /// - Throws: `Failure` where the configuration names no layout.
  package func layout() throws -> ChannelLayout {
    let name = try string("data_format", default: ChannelLayout.channelsLast.rawValue)
    guard let layout = ChannelLayout(rawValue: name) else {
      throw misconfigured("data_format", remedy: "expected channels_last or channels_first")
    }
    return layout
  }

  /// The padding of a convolution or a pooling.
  ///
  /// - Throws: `Failure` where the configuration names none that Keras has.
  package func padding() throws -> Padding {
    switch try string("padding", default: "valid").lowercased() {
    case "valid": return .valid
    case "same": return .same
    case "causal": return .causal
    default: throw misconfigured("padding", remedy: "expected valid, same or causal")
    }
  }

  /// A weight, which must have a shape that `expected` admits: nil admits every extent.
  ///
  /// - Throws: `Failure` with both shapes.
  func weight(_ name: String, _ expected: [Int?]) throws -> StoredTensor {
    guard let tensor = weights[name] else {
      if let mode = quantizationMode {
        throw failure("cannot be run", "Keras has quantized it to \(mode), which the program does not read")
      }
      throw failure("is incomplete", "its weight '\(name)' is missing")
    }
    let fits =
      tensor.shape.count == expected.count
      && zip(tensor.shape, expected).allSatisfy { $0 > 0 && ($1 == nil || $0 == $1) }
    guard fits else {
      let text = expected.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
      throw failure(
        "does not fit its weights", "'\(tensor.name)' has the shape \(tensor.shape)",
        remedy: "expected [\(text)]")
    }
    return tensor
  }

  /// A reference to a weight in the order of the file.
  func reference(_ name: String, _ expected: [Int?]) throws -> TensorReference {
    TensorReference(try weight(name, expected).name)
  }

  /// The same for a weight that the configuration may switch off.
  func reference(_ name: String, _ expected: [Int?], if isPresent: Bool) throws -> TensorReference? {
    isPresent ? try reference(name, expected) : nil
  }
}

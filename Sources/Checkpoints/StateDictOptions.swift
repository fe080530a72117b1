import Basics

/// What a user says of tensors that come without a network, PyTorch's state dicts: which part of the file is meant, and what the file cannot say.
package struct StateDictOptions: Sendable, Equatable {
  /// The part of the file that is the network, where it holds several: a key of a training checkpoint, or what names begin with.
  package var prefix: String?
  /// Layers whose kernels are matrices that inputs are multiplied by, where nothing else proves it.
  package var linear: [Glob]
  /// The path of a file that says which class every module has.
  package var modules: String?

  /// Makes options; nothing is said unless it is given.
  package init(prefix: String? = nil, linear: [Glob] = [], modules: String? = nil) {
    self.prefix = prefix
    self.linear = linear
    self.modules = modules
  }

  /// The same with the file of modules at another place.
  package func located(_ place: (String) throws -> String) rethrows -> StateDictOptions {
    var result = self
    result.modules = try modules.map(place)
    return result
  }

  /// As plans and records state them: what nobody said is left out.
  package var pairs: [(key: String, value: JSON)] {
    var pairs: [(key: String, value: JSON)] = []
    if let prefix { pairs.append(("prefix", .string(prefix))) }
    if !linear.isEmpty { pairs.append(("linear", .strings(linear.map(\.pattern)))) }
    if let modules { pairs.append(("modules", .string(modules))) }
    return pairs
  }
}

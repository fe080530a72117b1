import Basics
import ModelGraph

/// Functions of the elements along axes.
extension KerasOperators {
  static let reductions: [String: Function] = {
    var table: [String: Function] = [:]
    let kinds: [(String, Reduction)] = [
      ("mean", .mean), ("sum", .sum), ("max", .maximum), ("amax", .maximum), ("min", .minimum), ("amin", .minimum),
      ("prod", .product), ("any", .maximum), ("all", .minimum), ("logsumexp", .logOfSumOfExponentials),
      ("euclidean_norm", .l2),
    ]
    for (name, kind) in kinds {
      let function = Function.single { use in
        let value = try use.first()
        // Truth is any number but 0.
        let isLogical = name == "any" || name == "all"
        return try use.reduced(kind, isLogical ? use.function(.toBoolean, of: value) : value)
      }
      (table[name], table["reduce_" + name]) = (function, function)
    }
    for name in ["var", "variance", "reduce_variance"] { table[name] = .single { use in try use.variance() } }
    for name in ["std", "reduce_std"] {
      table[name] = .single { use in use.function(.squareRoot, of: try use.variance()) }
    }
    for (names, largest) in [(["argmax", "arg_max"], true), (["argmin", "arg_min"], false)] {
      let function = Function.single { use in
        let value = try use.first()
        guard let axis = try use.axes(1, "axis", "dimension")?.first ?? (use.layer.majorVersion < 3 ? 0 : nil)
        else { throw use.layer.failure("cannot be run", "it looks for a place among all axes") }
        return use.append(
          .extremum(axis: axis, largest: largest, keepsAxis: try use.isOn(2, "keepdims")), [value])
      }
      for name in names { table[name] = function }
    }
    for name in ["l2_normalize", "normalize"] {
      table[name] = .single { use in
        guard try use.integer(nil, "order", "ord", default: 2) == 2 else {
          throw use.layer.failure("cannot be run", "it takes another norm than the Euclidean one")
        }
        let value = try use.first()
        let rank = try use.rank(of: value)
        let axes = try use.axes(1, "axis", "dim") ?? (name == "normalize" ? [-1] : Array(0..<rank))
        let norm = use.reduce(.l2, value, axes: axes)
        // TensorFlow's bound is that of the square.
        let epsilon = try use.setting(nil, "epsilon")?.real
        let least = name == "normalize" ? epsilon ?? 1e-7 : (epsilon ?? 1e-12).squareRoot()
        return use.elementwise(.divide, value, use.elementwise(.maximum, norm, use.scalar(least)))
      }
    }
    return table
  }()
}

extension KerasUse {
  fileprivate mutating func reduced(_ kind: Reduction, _ value: String) throws -> String {
    guard try setting(nil, "initial") == nil else {
      throw layer.failure("cannot be run", "it begins with a number of its own")
    }
    let axes = try axes(1, "axis", "reduction_indices", "axes") ?? Array(0..<(try rank(of: value)))
    return reduce(kind, value, axes: axes, keepsAxes: try isOn(2, "keepdims") || isOn(nil, "keep_dims"))
  }

  fileprivate mutating func variance() throws -> String {
    let value = try first()
    let axes = try axes(1, "axis") ?? Array(0..<(try rank(of: value)))
    let centred = elementwise(.subtract, value, reduce(.mean, value, axes: axes))
    let squares = elementwise(.multiply, centred, centred)
    return reduce(.mean, squares, axes: axes, keepsAxes: try isOn(2, "keepdims"))
  }
}

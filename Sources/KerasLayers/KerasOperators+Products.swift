import Basics
import ModelGraph

/// Products of arrays, and what is added or repeated with them.
extension KerasOperators {
  static let products: [String: Function] = [
    "matmul": matrixProduct, "batch_mat_mul_v2": matrixProduct, "batch_mat_mul": matrixProduct,
    "einsum": .single { use in
      guard let text = try use.setting(nil, "subscripts", "equation")?.string ?? use.layer.value("subscripts")?.string,
        use.arguments.count == 2 || use.arguments.count == 3
      else { throw use.layer.failure("cannot be run", "it is no product of two operands") }
      let shift = use.arguments.count - 2
      let (x, y) = (try use.operand(shift), try use.operand(shift + 1))
      guard let equation = KerasEquation(text, ranks: [try use.rank(of: x), try use.rank(of: y)]) else {
        throw use.layer.failure("cannot be run", "its equation is '\(text)'")
      }
      return try use.contract(x, equation.operands[0], y, equation.operands[1], to: equation.result)
    },
    "tensordot": .single { use in
      let (x, y) = (try use.operand(0, "x1", "a"), try use.operand(1, "x2", "b"))
      let (first, second) = (try use.rank(of: x), try use.rank(of: y))
      let stated = try use.setting(2, "axes")
      var pairs = stated?.array?.map { $0.integers ?? $0.integer.map { [$0] } ?? [] } ?? []
      if let count = stated?.integer, (0...min(first, second)).contains(count) {
        pairs = [Array(first - count..<first), Array(0..<count)]
      }
      guard pairs.count == 2, pairs[0].count == pairs[1].count, first + second < 24 else {
        throw use.layer.failure("cannot be run", "it does not say which axes it contracts")
      }
      let labels = (0..<24).map { Character(UnicodeScalar(UInt8(97 + $0))) }
      let own = Array(labels[..<first])
      var other = Array(labels[first..<first + second])
      for (a, b) in zip(pairs[0], pairs[1]) { other[try use.axis(b, of: y)] = own[try use.axis(a, of: x)] }
      let shared = own.filter(other.contains)
      return try use.contract(x, own, y, other, to: (own + other).filter { !shared.contains($0) })
    },
    "bias_add": .single { use in
      let value = try use.operand(0, "value", "x")
      let bias = try use.operand(1, "bias")
      guard try use.setting(nil, "data_format")?.string.map({ $0.hasSuffix("C") || $0 == "channels_last" }) ?? true
      else {
        throw use.layer.failure("cannot be run", "its channels come first")
      }
      return use.elementwise(.add, value, bias)
    },
    "add_n": .single { use in
      let values = try use.operands()
      return use.append(.elementwise(.add), values)
    },
    "avg_pool": pooling(.average), "avg_pool2d": pooling(.average), "average_pool": pooling(.average),
    "max_pool": pooling(.maximum), "max_pool2d": pooling(.maximum),
  ]

  private static let matrixProduct = Function.single { use in
    func turned(_ value: String, _ names: [String]) throws -> String {
      guard try names.contains(where: { try use.isOn(nil, $0) }) else { return value }
      let rank = try use.rank(of: value)
      guard rank >= 2 else { throw use.layer.failure("cannot be run", "it turns a vector") }
      return use.transpose(value, Array(0..<rank - 2) + [rank - 1, rank - 2])
    }
    let a = try turned(try use.operand(0, "x1", "a", "x"), ["transpose_a", "adjoint_a", "adj_x"])
    let b = try turned(try use.operand(1, "x2", "b", "y"), ["transpose_b", "adjoint_b", "adj_y"])
    return use.append(.matrixProduct, [a, b])
  }

  private static func pooling(_ kind: Pooling.Kind) -> Function {
    .single { use in
      let value = try use.operand(0, "inputs", "input", "value", "x")
      let order = try use.rank(of: value) - 2
      let format = try use.setting(nil, "data_format")?.string ?? "channels_last"
      func numbers(_ names: [String]) throws -> [Int]? {
        for name in names {
          guard let stated = try use.axes(nil, name) else { continue }
          if stated.count == 1 { return Array(repeating: stated[0], count: order) }
          // TensorFlow may state the batch and the channels too.
          return stated.count == order + 2 && format.hasSuffix("C")
            || stated.count == order + 2 && format == "channels_last"
            ? Array(stated[1...order]) : stated
        }
        return nil
      }
      let padding = try use.setting(nil, "padding")?.string?.lowercased() ?? "valid"
      guard (1...3).contains(order), let size = try numbers(["pool_size", "ksize"]), size.count == order,
        ["valid", "same"].contains(padding), size.allSatisfy({ $0 > 0 })
      else { throw use.layer.failure("cannot be run", "it pools in a way that the program does not know") }
      let strides = try numbers(["strides"]) ?? size
      guard strides.count == order, strides.allSatisfy({ $0 > 0 }) else {
        throw use.layer.failure("cannot be run", "its strides are \(strides)")
      }
      let window = Window(
        stride: strides, dilation: size.map { _ in 1 }, padding: padding == "same" ? .same : .valid)
      let isFirst = format == "channels_first" || format.hasPrefix("NC")
      return use.append(
        .pooling(Pooling(kind: kind, extents: size, window: window, layout: isFirst ? .channelsFirst : .channelsLast)),
        [value])
    }
  }
}

import Basics
import ModelGraph

/// Functions that arrange elements.
extension KerasOperators {
  static let shapes: [String: Function] = [
    "reshape": .single { use in
      let value = try use.first()
      let extents = try? use.setting(1, "newshape", "shape")
      if let extents = extents?.integers {
        guard extents.allSatisfy({ $0 >= -1 }) else {
          throw use.layer.failure("cannot be run", "its shape is \(extents)")
        }
        let target = use.literal(Literal(extents))
        return use.append(.reshape(keepsZero: true), [value, target])
      }
      let target = try use.operand(1, "newshape", "shape")
      return use.append(.reshape(keepsZero: true), [value, target])
    },
    "transpose": .single { use in
      let value = try use.first()
      let order = try use.axes(1, "axes", "perm", "a") ?? Array((0..<(try use.rank(of: value))).reversed())
      return use.transpose(value, try order.map { try use.axis($0, of: value) })
    },
    "swapaxes": .single { use in
      let value = try use.first()
      var order = Array(0..<(try use.rank(of: value)))
      order.swapAt(
        try use.axis(try use.integer(1, "axis1"), of: value), try use.axis(try use.integer(2, "axis2"), of: value))
      return use.transpose(value, order)
    },
    "moveaxis": .single { use in
      let value = try use.first()
      guard let from = try use.axes(1, "source")?.map({ try use.axis($0, of: value) }),
        let to = try use.axes(2, "destination")?.map({ try use.axis($0, of: value) }), from.count == to.count,
        Set(from).count == from.count, Set(to).count == to.count
      else { throw use.layer.failure("cannot be run", "it does not say which axes go where") }
      var rest = (0..<(try use.rank(of: value))).filter { !from.contains($0) }[...]
      let order = (0..<(try use.rank(of: value))).map { axis in
        to.firstIndex(of: axis).map { from[$0] } ?? rest.removeFirst()
      }
      return use.transpose(value, order)
    },
    "expand_dims": .single { use in
      let value = try use.first()
      return use.expand(value, axes: try use.axes(1, "axis", "dim") ?? [0])
    },
    "squeeze": .single { use in
      let value = try use.first()
      guard let axes = try use.axes(1, "axis", "squeeze_dims") else { return use.append(.squeeze, [value]) }
      return axes.isEmpty ? use.append(.squeeze, [value]) : use.squeeze(value, axes: axes)
    },
    "concatenate": concatenate, "concat": concatenate, "concat_v2": concatenate,
    "stack": stack, "pack": stack,
    "hstack": .single { use in
      let values = try use.operands()
      return use.append(.concatenate(axis: try use.rank(of: values[0]) == 1 ? 0 : 1), values)
    },
    "unstack": Function { use in
      let value = try use.first()
      let axis = try use.integer(2, "axis", default: 0)
      return try (0..<(try use.extent(axis, of: value))).map {
        use.entry($0, of: value, axis: try use.axis(axis, of: value))
      }
    },
    "split": Function { use in try use.split() },
    "tile": .single { use in
      let value = try use.first()
      var counts = try use.axes(1, "repeats", "multiples") ?? []
      let rank = try use.rank(of: value)
      guard counts.count <= rank else { throw use.layer.failure("cannot be run", "it makes new axes") }
      counts = Array(repeating: 1, count: rank - counts.count) + counts
      let target = use.literal(Literal(counts))
      return use.append(.tile, [value, target])
    },
    "repeat": .single { use in
      let value = try use.first()
      let count = try use.integer(1, "repeats")
      guard let stated = try use.axes(2, "axis")?.first, (1...4096).contains(count) else {
        throw use.layer.failure("cannot be run", "it does not say how often it repeats what")
      }
      let (axis, rank) = (try use.axis(stated, of: value), try use.rank(of: value))
      let copies = Array(repeating: use.expand(value, axes: [axis + 1]), count: count)
      let all = use.append(.concatenate(axis: axis + 1), copies)
      return try use.reshape(
        all,
        (0..<rank).map { $0 == axis ? .extents(all, [axis, axis + 1]) : .extents(all, [$0 < axis ? $0 : $0 + 1]) })
    },
    "flip": reverse, "reverse": reverse,
    "roll": .single { use in
      let value = try use.first()
      guard let shifts = try use.axes(1, "shift"), let axes = try use.axes(2, "axis"), shifts.count == axes.count else {
        throw use.layer.failure("cannot be run", "it does not say which axes it rolls")
      }
      return try zip(axes, shifts).reduce(value) { value, pair in
        let (axis, extent) = (try use.axis(pair.0, of: value), try use.extent(pair.0, of: value))
        let cut = extent == 0 ? 0 : ((extent - pair.1) % extent + extent) % extent
        guard cut > 0 else { return value }
        return use.append(
          .concatenate(axis: axis),
          [use.slice(value, axis: axis, cut, extent), use.slice(value, axis: axis, 0, cut)])
      }
    },
    "pad": .single { use in try use.pad() }, "pad_v2": .single { use in try use.pad() },
    "broadcast_to": .single { use in
      let value = try use.first()
      return use.append(.expand, [value, try use.operand(1, "shape")])
    },
    "shape": .single { use in
      let value = try use.first()
      return use.append(.shape(axes: 0..<(try use.rank(of: value))), [value])
    },
    "take": gather, "gather": gather, "gather_v2": gather,
    "get_item": .single { use in try use.item(try use.keyed(1, "key")) },
    "getitem": .single { use in try use.item(try use.keyed(1, "slice_spec")) },
    "one_hot": .single { use in
      let value = try use.operand(0, "x", "indices")
      guard try use.axes(nil, "axis") ?? [-1] == [-1] else {
        throw use.layer.failure("cannot be run", "it puts the places on another axis than the last")
      }
      return try use.oneHot(value, count: try use.integer(1, "num_classes", "depth"))
    },
    "depth_to_space": .single { use in try use.blocks { .depthToSpace(block: $0, columnsFirst: false) } },
    "space_to_depth": .single { use in try use.blocks { .spaceToDepth(block: $0) } },
    "image.resize": resize, "resize": resize,
    "ravel": .single { use in
      let value = try use.first()
      let target = use.literal(Literal([-1]))
      return use.append(.reshape(keepsZero: true), [value, target])
    },
  ]

  private static let concatenate = Function.single { use in
    let values = try use.operands()
    return use.append(.concatenate(axis: try use.integer(1, "axis", "concat_dim", default: 0)), values)
  }

  private static let stack = Function.single { use in
    let axis = try use.integer(1, "axis", default: 0)
    let values = try use.operands().map { use.expand($0, axes: [axis]) }
    return use.append(.concatenate(axis: axis), values)
  }

  private static let reverse = Function.single { use in
    let value = try use.first()
    let axes = try use.axes(1, "axis") ?? Array(0..<(try use.rank(of: value)))
    return try axes.reduce(value) { use.reversed($0, axis: try use.axis($1, of: value)) }
  }

  private static let gather = Function.single { use in
    let value = try use.operand(0, "x", "params")
    let indices = try use.operand(1, "indices")
    guard try use.integer(nil, "batch_dims", default: 0) == 0 else {
      throw use.layer.failure("cannot be run", "every sample takes from its own values")
    }
    guard let axis = try use.axes(2, "axis")?.first ?? (use.layer.majorVersion < 3 ? 0 : nil) else {
      throw use.layer.failure("cannot be run", "it takes from all axes as one")
    }
    return use.append(.gather(axis: axis), [value, indices])
  }

  private static let resize = Function.single { use in
    let value = try use.operand(0, "images", "image", "x")
    guard let size = try use.axes(1, "size"), size.count == 2, size.allSatisfy({ $0 > 0 }),
      try !use.isOn(nil, "antialias"), try !use.isOn(nil, "preserve_aspect_ratio"),
      try !use.isOn(nil, "crop_to_aspect_ratio"), try !use.isOn(nil, "pad_to_aspect_ratio")
    else { throw use.layer.failure("cannot be run", "it resizes in a way that the program does not know") }
    let layout = try use.setting(nil, "data_format")?.string.flatMap { ChannelLayout(rawValue: $0) } ?? .channelsLast
    return try use.resized(value, to: size, try use.setting(2, "method", "interpolation")?.string ?? "bilinear", layout)
  }
}

extension KerasUse {
  fileprivate mutating func blocks(_ make: (Int) -> ArrayOperation) throws -> String {
    let value = try first()
    guard try setting(nil, "data_format")?.string ?? "NHWC" == "NHWC", try rank(of: value) == 4 else {
      throw layer.failure("cannot be run", "its input is no image with its channels last")
    }
    let turned = transpose(value, [0, 3, 1, 2])
    let moved = append(make(try integer(1, "block_size")), [turned])
    return transpose(moved, [0, 2, 3, 1])
  }

  fileprivate mutating func split() throws -> [String] {
    let value = try operand(0, "x", "value")
    let axis = try axis(try integer(2, "axis", default: 0), of: value)
    let stated = try setting(1, "indices_or_sections", "num_or_size_splits")
    let extent = try extent(axis, of: value)
    let bounds: [Int]
    if let count = stated?.integer, count > 0, extent % count == 0 {
      bounds = (0...count).map { $0 * extent / count }
    } else if let places = stated?.integers {
      // Keras states where to cut, TensorFlow how long the parts are.
      if layer.entry.className == "TFOpLambda" {
        let known = places.filter { $0 >= 0 }.reduce(0, +)
        let parts = places.map { $0 < 0 ? extent - known : $0 }
        bounds = parts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
      } else {
        bounds = [0] + places + [extent]
      }
    } else {
      throw layer.failure("cannot be run", "it does not say where it splits")
    }
    guard zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 }), bounds.last == extent else {
      throw layer.failure("cannot be run", "its parts do not fill an axis of \(extent)")
    }
    return zip(bounds, bounds.dropFirst()).map { slice(value, axis: axis, $0, $1) }
  }

  fileprivate mutating func pad() throws -> String {
    let value = try first()
    let rank = try rank(of: value)
    let stated = try setting(1, "pad_width", "paddings")
    let pairs = stated?.array?.map { $0.integers ?? $0.integer.map { [$0, $0] } ?? [] } ?? []
    guard pairs.count == rank,
      pairs.allSatisfy({ $0.count == 2 && $0.allSatisfy { (0...Int(Int32.max)).contains($0) } })
    else { throw layer.failure("cannot be run", "its borders are no pairs of numbers") }
    let mode: PaddingMode
    switch try setting(2, "mode")?.string?.lowercased() ?? "constant" {
    case "constant": mode = .constant
    case "reflect": mode = .reflect
    case "edge": mode = .edge
    case let other: throw layer.failure("cannot be run", "it pads by '\(other)'")
    }
    let number = try setting(3, "constant_values")?.real ?? 0
    let borders = literal(Literal(pairs.map { $0[0] } + pairs.map { $0[1] }))
    return append(.pad(mode, value: number), [value, borders])
  }

  /// What stands between the brackets of a subscript.
  fileprivate func keyed(_ position: Int, _ name: String) throws -> [JSON] {
    func json(_ part: Arguments) throws -> JSON {
      switch part {
      case .leaf(.constant(let json)): return json
      case .list(let items): return .array(try items.map(json))
      case .leaf(.value): throw layer.failure("cannot be run", "it takes what the data says")
      case .sortedDictionary(let pairs):
        return .object(JSONObject(try pairs.map { ($0.key, try json($0.value)) }))
      }
    }
    let given =
      keywords.first { $0.name == name }?.value
      ?? (arguments.indices.contains(position) ? arguments[position] : nil)
    guard let given else { throw layer.failure("cannot be run", "it does not say what it takes") }
    let key = try json(given)
    return key.array ?? [key]
  }

  /// The part of a value that a subscript names: numbers, slices, new axes, and dots for all axes between.
  fileprivate mutating func item(_ key: [JSON]) throws -> String {
    var value = try first()
    func isDots(_ json: JSON) -> Bool { json["class_name"]?.string == "__ellipsis__" }
    func isNew(_ json: JSON) -> Bool { json.isNull }
    let named = key.count { !isDots($0) && !isNew($0) }
    let rank = try rank(of: value)
    guard named <= rank, key.count(where: isDots) <= 1 else {
      throw layer.failure("cannot be run", "it names \(named) of \(rank) axes")
    }
    var axis = 0
    for part in key {
      if isDots(part) {
        axis += rank - named
      } else if isNew(part) {
        value = expand(value, axes: [axis])
        axis += 1
      } else if let index = part.integer {
        value = entry(index, of: value, axis: axis)
      } else {
        let bounds = part["class_name"]?.string == "__slice__" ? part["config"] : part
        func bound(_ key: String) throws -> Int? {
          guard let stated = bounds?[key], !stated.isNull else { return nil }
          guard let number = stated.integer, abs(number) <= Int(Int32.max) else {
            throw layer.failure("cannot be run", "its subscript is \(part.text())")
          }
          return number
        }
        guard bounds?.object != nil else { throw layer.failure("cannot be run", "its subscript is \(part.text())") }
        let step = try bound("step") ?? 1
        guard step != 0 else { throw layer.failure("cannot be run", "its subscript has the step 0") }
        let (start, stop) = (try bound("start"), try bound("stop"))
        if start != nil || stop != nil || step != 1 {
          value = slice(
            value, axis: axis, start ?? (step > 0 ? 0 : -1), stop ?? (step > 0 ? Int(Int32.max) : Int(Int32.min)),
            step: step)
        }
        axis += 1
      }
    }
    return value
  }
}

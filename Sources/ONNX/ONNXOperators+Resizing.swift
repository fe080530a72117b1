import ModelGraph
import TensorCore

/// Values at other places of the axes.
extension ONNXOperators {
  static let resizing: [String: Converter] = [
    "Resize": resize, "Upsample": upsample,
    "GridSample": { conversion in
      let node = conversion.node
      let methods: [String: GridSampling.Method] = [
        "nearest": .nearest, "bilinear": .linear, "linear": .linear, "bicubic": .cubic, "cubic": .cubic,
      ]
      let (mode, border) = (node.text("mode", default: "linear"), node.text("padding_mode", default: "zeros"))
      guard let method = methods[mode], let border = GridSampling.Border(rawValue: border) else {
        return conversion.refuse("in the mode '\(mode)' with the border '\(border)'")
      }
      let sampling = GridSampling(
        method: method, border: border, alignsCorners: node.int("align_corners", default: 0) != 0)
      conversion.emit(.gridSample(sampling), [try conversion.operand(0), try conversion.operand(1)])
    },
    "AffineGrid": affineGrid,
  ]

  /// Where the places of an image lie after an affine map: (batch, 2, 3) or (batch, 3, 4), from -1 to 1.
  private static let affineGrid: Converter = { conversion in
    let node = conversion.node
    guard let size = try node.numbers(1), (4...5).contains(size.count), size.allSatisfy({ $0 >= 1 && $0 <= 0x1p20 })
    else { return conversion.refuse("of a size that other nodes compute") }
    let extents = size.dropFirst(2).map { Int($0) }
    let alignsCorners = node.int("align_corners", default: 0) != 0
    guard extents.productIfExact.map({ $0 <= 1 << 20 }) ?? false else {
      return conversion.refuse("of \(extents) places")
    }
    // The places of the plain grid, the last axis first, and a 1 for the offset.
    var places: [Double] = []
    for index in 0..<extents.reduce(1, *) {
      var rest = index
      for extent in extents.reversed() {
        let (place, count) = (Double(rest % extent), Double(extent))
        places.append(alignsCorners ? (extent > 1 ? 2 * place / (count - 1) - 1 : 0) : (2 * place + 1) / count - 1)
        rest /= extent
      }
      places.append(1)
    }
    let columns = extents.count + 1
    let grid = conversion.builder.literal(Literal(shape: [places.count / columns, columns], values: places))
    let turned = conversion.transposed(try conversion.operand(0), [0, 2, 1])
    let moved = conversion.value(.matrixProduct, [grid, turned])
    conversion.emit(
      .reshape(keepsZero: false), [moved, conversion.literal([0] + extents + [extents.count])])
  }

  private static let resize: Converter = { conversion in
    let node = conversion.node
    let isOld = node.opset < 11
    let coordinates =
      isOld ? "asymmetric" : node.text("coordinate_transformation_mode", default: "half_pixel")
    guard let transformation = Resizing.Coordinates(rawValue: coordinates) else {
      return conversion.refuse("with coordinates '\(coordinates)'")
    }
    guard let method = resizingMethod(node) else {
      return conversion.refuse("in the mode '\(node.text("mode", default: ""))'")
    }
    if conversion.kind(0)?.isInteger ?? false {
      guard case .nearest = method else { return conversion.refuse("that interpolates whole numbers") }
    }
    let scales = isOld ? 1 : 2
    let hasScales = node.input(scales) != nil && node.tensor(scales).map { $0.shape != [0] } ?? true
    guard hasScales || node.input(3) != nil else { throw node.failure("it has neither scales nor sizes") }
    let policies: [String: Resizing.Size] = [
      "stretch": .extents, "not_larger": .extentsToFit, "not_smaller": .extentsToFill,
    ]
    let policy = node.text("keep_aspect_ratio_policy", default: "stretch")
    guard let size = hasScales ? .factors : policies[policy] else {
      return conversion.refuse("with the policy '\(policy)'")
    }
    var resizing = Resizing(size: size, coordinates: transformation, method: method)
    resizing.axes = node.ints("axes")
    resizing.antialiases = node.int("antialias", default: 0) != 0
    resizing.excludesOutside = node.int("exclude_outside", default: 0) != 0
    if transformation == .crop {
      guard let region = try node.numbers(1), region.count % 2 == 0 else {
        return conversion.refuse("of a region that other nodes compute")
      }
      resizing.region = (0..<region.count / 2).map {
        Resizing.ClosedRegion(start: region[$0], end: region[$0 + region.count / 2])
      }
      resizing.outside = node.float("extrapolation_value", default: 0)
    }
    conversion.emit(.resize(resizing), [try conversion.operand(0), try conversion.operand(hasScales ? scales : 3)])
  }

  private static func resizingMethod(_ node: ONNXNode) -> Resizing.Method? {
    switch node.text("mode", default: "nearest") {
    case "nearest":
      let rounding = Resizing.Rounding(
        rawValue: node.opset < 11 ? "floor" : node.text("nearest_mode", default: "round_prefer_floor"))
      return .nearest(rounding ?? .preferFloor)
    case "linear", "bilinear": return .linear
    case "cubic":
      return .cubic(
        coefficient: node.float("cubic_coeff_a", default: -0.75),
        excludesOutside: node.int("exclude_outside", default: 0) != 0)
    default: return nil
    }
  }

  private static let upsample: Converter = { conversion in
    let node = conversion.node
    let isNearest = node.text("mode", default: "nearest") == "nearest"
    let scales =
      try scales(node).map {
        conversion.builder.literal(Literal(shape: [$0.count], values: $0))
      } ?? conversion.operand(1)
    conversion.emit(
      .resize(
        Resizing(size: .factors, coordinates: .asymmetric, method: isNearest ? .nearest(.floor) : .linear)),
      [try conversion.operand(0), scales])
  }

  /// The factors that old versions have as attributes.
  private static func scales(_ node: ONNXNode) -> [Double]? {
    guard node.proto.attribute(named: "height_scale") != nil else { return node.floats("scales") }
    return [1, 1, node.float("height_scale", default: 1), node.float("width_scale", default: 1)]
  }
}

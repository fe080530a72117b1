import Basics
import ModelGraph

/// Layers that give images another size.
extension KerasLayerType {
  static let images: [String: KerasLayerType] = {
    var table: [String: KerasLayerType] = [
      "Resizing": KerasLayerType(expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        let layer = use.layer
        guard !layer.bool("crop_to_aspect_ratio", default: false), !layer.bool("pad_to_aspect_ratio", default: false)
        else { throw layer.failure("cannot be run", "it keeps the images' aspect ratio") }
        return [
          try use.resized(
            value, to: [try layer.integer("height"), try layer.integer("width")],
            layer.string("interpolation", default: "bilinear"), layer.layout())
        ]
      }),
      "CenterCrop": KerasLayerType(expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        let axes = use.spatialAxes(try use.layer.layout(), rank: try use.rank(of: value))
        guard axes.count == 2 else { throw use.layer.failure("cannot be run", "its input is no image") }
        return [
          try zip(axes, ["height", "width"]).reduce(value) { value, side in
            let (extent, wanted) = (try use.extent(side.0, of: value), try use.layer.integer(side.1))
            guard wanted <= extent else {
              throw use.layer.failure("cannot be run", "its input is smaller than its crop")
            }
            let start = (extent - wanted) / 2
            return use.slice(value, axis: side.0, start, start + wanted)
          }
        ]
      }),
    ]
    for order in 1...3 {
      for (name, kind) in [("Average", Reduction.mean), ("Max", .maximum)] {
        table["Adaptive\(name)Pooling\(order)D"] = KerasLayerType(expansion: { use in
          guard let value = try use.values().first else { throw use.layer.withoutInput }
          let sizes = try use.layer.extents("output_size", order)
          let axes = use.spatialAxes(try use.layer.layout(), rank: try use.rank(of: value))
          guard axes.count == order else { throw use.layer.failure("cannot be run", "its input has another rank") }
          return [try zip(axes, sizes).reduce(value) { try use.pooled($0, axis: $1.0, to: $1.1, kind) }]
        })
      }
    }
    return table
  }()
}

extension KerasUse {
  func spatialAxes(_ layout: ChannelLayout, rank: Int) -> [Int] { Array(layout.spatialAxes(rank: rank)) }

  /// The images in another size, as TensorFlow makes them without antialiasing.
  mutating func resized(
    _ value: String, to sizes: [Int], _ interpolation: String, _ layout: ChannelLayout
  ) throws -> String {
    let method: Resizing.Method
    switch interpolation {
    case "nearest": method = .nearest(.preferCeiling)
    case "bilinear": method = .linear
    case "bicubic": method = .cubic(coefficient: -0.5, excludesOutside: true)
    default: throw layer.failure("cannot be run", "it interpolates '\(interpolation)'")
    }
    let rank = try rank(of: value)
    let axes = spatialAxes(layout, rank: rank)
    guard axes.count == sizes.count else { throw layer.failure("cannot be run", "its input is no image") }
    let extents = (0..<rank).map { axis in
      axes.firstIndex(of: axis).map { Extent.fixed(sizes[$0]) } ?? .extents(value, [axis])
    }
    let target = shape(of: extents)
    return append(.resize(Resizing(size: .extents, coordinates: .halfPixel, method: method)), [value, target])
  }

  /// The mean or the largest of about equal parts of an axis.
  fileprivate mutating func pooled(_ value: String, axis: Int, to count: Int, _ kind: Reduction) throws -> String {
    let extent = try extent(axis, of: value)
    guard (1...4096).contains(count), extent > 0 else {
      throw layer.failure("cannot be run", "it makes \(count) parts of an axis of \(extent)")
    }
    let parts = (0..<count).map { part in
      let (start, end) = (part * extent / count, ((part + 1) * extent + count - 1) / count)
      return reduce(kind, slice(value, axis: axis, start, end), axes: [axis])
    }
    return append(.concatenate(axis: axis), parts)
  }
}

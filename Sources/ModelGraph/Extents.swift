import Basics
import TensorCore

extension [Int] {
  /// The product, or nil where it overflows or an extent is negative.
  public var productIfExact: Int? {
    reduce(1 as Int?) { product, extent in
      guard let product, extent >= 0 else { return nil }
      let (result, overflow) = product.multipliedReportingOverflow(by: extent)
      return overflow ? nil : result
    }
  }
}

extension [Int?] {
  /// The extents; nil where one is open.
  public var known: [Int]? {
    let known = compactMap(\.self)
    return known.count == count ? known : nil
  }

  /// The shape for messages: `[?, 32, 32, 3]`.
  public var text: String { "[" + map { $0.map(String.init) ?? "?" }.joined(separator: ", ") + "]" }

  /// The product of all extents; nil where one is open or the product overflows.
  var product: Int? { known?.productIfExact }

  /// The product of the extents of all other axes, or nil where one is open or the product overflows.
  func count(without axes: Set<Int>) -> Int? {
    let extents = indices.filter { !axes.contains($0) }.compactMap { self[$0] }
    return extents.count == count - axes.count ? extents.productIfExact : nil
  }

  /// The shape with another extent on one axis.
  func replacing(_ axis: Int, _ extent: Int?) -> [Int?] {
    var result = self
    result[axis] = extent
    return result
  }

  /// The axis counted from the front; a negative one counts from the end.
  ///
  /// - Throws: `Failure` with an empty subject where the axis does not exist.
  func axis(_ axis: Int) throws -> Int {
    guard (-count..<count).contains(axis) else {
      throw misfit("axis \(axis) does not exist", "its input has \(count) axes")
    }
    return axis.normalizedAxis(rank: count)
  }

  /// Refuses a shape with another count of channels.
  ///
  /// - Throws: `Failure` with an empty subject.
  func check(channels: Int, _ layout: ChannelLayout) throws {
    guard count >= 2 || count == 1 && layout == .channelsLast else { throw misfit("it has no channel axis", nil) }
    guard let given = self[layout.channelAxis(rank: count)], given != channels else { return }
    throw misfit("it has \(given) channels", "expected \(channels)")
  }

  /// Refuses a shape with another count of spatial axes.
  ///
  /// - Throws: `Failure` with an empty subject.
  func checkRank(_ spatialOrder: Int) throws {
    guard count == spatialOrder + 2 else {
      throw misfit(
        "it has \(count) axes", "expected \(spatialOrder + 2): batch, channels and \(spatialOrder) spatial axes")
    }
  }
}

extension Int? {
  /// Whether two extents can be the same.
  func agrees(with other: Int?) -> Bool { self == nil || other == nil || self == other }

  /// A multiple of an extent; nil where the extent is open.
  ///
  /// - Throws: `Failure` with an empty subject where the product overflows.
  func times(_ factor: Int) throws -> Int? {
    guard let self else { return nil }
    let (product, overflow) = self.multipliedReportingOverflow(by: factor)
    guard !overflow else { throw misfit("an axis becomes too long", nil) }
    return product
  }
}

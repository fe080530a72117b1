extension Resizing {
  /// The factors by which axes grow and the extents that they get.
  ///
  /// - Parameters:
  ///   - shape: of the input.
  ///   - sizes: What the second operand holds.
  /// - Returns: For each axis its factor and its extent; nil where they are open.
  /// - Throws: `Failure` with an empty subject where the sizes are none.
  public func sizes(of shape: [Int?], _ sizes: [Double?]) throws -> [(factor: Double?, extent: Int?)] {
    let places = try axes.map { try $0.map { try shape.axis($0) } } ?? Array(shape.indices)
    guard sizes.count == places.count, Set(places).count == places.count else {
      throw misfit("\(sizes.count) sizes", "expected a number for each of \(places.count) axes")
    }
    var result = shape.map { (factor: Double?.some(1), extent: $0) }
    let common = commonFactor(places.map { shape[$0] }, sizes)
    for (index, (axis, size)) in zip(places, sizes).enumerated() {
      guard let size else {
        result[axis] = (nil, nil)
        continue
      }
      guard size > 0, size < 0x1p31 else { throw misfit("axis \(axis) is resized by \(size)", nil) }
      let extent = shape[axis].map(Double.init)
      let (factor, target): (Double?, Double?) =
        switch self.size {
        // In single precision, as runtimes do: 10 elements times 0.7 are 7.
        case .factors: (size, extent.map { Double((Float($0 * shownPart(index)) * Float(size)).rounded(.down)) })
        case .extents: (extent.map { size / max(1, $0) }, size)
        case .extentsToFit, .extentsToFill:
          (common, common.flatMap { common in extent.map { ($0 * common).rounded(.toNearestOrAwayFromZero) } })
        }
      guard target.map({ $0 < 0x1p31 }) ?? true else { throw misfit("axis \(axis) becomes too long", nil) }
      result[axis] = (factor, target.map { Int($0) })
    }
    return result
  }

  /// The part of an axis that the result shows.
  private func shownPart(_ index: Int) -> Double {
    coordinates == .crop && region.indices.contains(index) ? region[index].end - region[index].start : 1
  }

  /// The one factor of all axes; nil where it is open, or where every axis has its own.
  private func commonFactor(_ extents: [Int?], _ sizes: [Double?]) -> Double? {
    let factors = zip(extents, sizes).compactMap { extent, size in
      extent.flatMap { extent in size.map { $0 / Double(Swift.max(1, extent)) } }
    }
    guard factors.count == sizes.count else { return nil }
    return switch size {
    case .factors, .extents: nil
    case .extentsToFit: factors.min()
    case .extentsToFill: factors.max()
    }
  }
}

extension ArrayOperation {
  func resized(_ operands: [KnownValue], _ resizing: Resizing) throws -> KnownValue {
    guard let sizes = operands[1].content else {
      throw misfit("its sizes are not known", "expected numbers that follow from the inputs' shapes")
    }
    return KnownValue(try resizing.sizes(of: operands[0].shape, sizes).map(\.extent))
  }
}

extension Int {
  /// Towards zero; beyond the range the limit, so that a slice's "to the end" stays one.
  public init?(clampingTruncated value: Double) {
    if value.isNaN { return nil }
    self = value >= 0x1p62 ? .max : value <= -0x1p62 ? .min : Int(value)
  }
}

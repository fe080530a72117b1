/// How values at any places of an image are made.
public struct GridSampling: Sendable, Equatable {
  /// How the values between the input's places are made.
  public enum Method: Sendable { case nearest, linear, cubic }
  /// What lies outside the input: zeros, its edge, or its mirror image.
  public enum Border: String, Sendable { case zeros, border, reflection }

  /// How the values between the input's places are made.
  public var method: Method
  /// What lies outside the input.
  public var border: Border
  /// Whether -1 and 1 are the centres of the first and last element, not their outer edges.
  public var alignsCorners: Bool

  /// A sampling has all three settings.
  public init(method: Method, border: Border, alignsCorners: Bool) {
    self.method = method
    self.border = border
    self.alignsCorners = alignsCorners
  }
}

/// What becomes of an element at whose place an update lies.
public enum Scattering: String, Sendable {
  case replace = "none", add, multiply = "mul", maximum = "max", minimum = "min"
}

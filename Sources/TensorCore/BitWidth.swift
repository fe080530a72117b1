/// The bits that a stored integer takes. Integers are symmetric: a width of b bits holds -q to q with q = 2^(b-1) - 1.
public enum BitWidth: Int, Sendable, CaseIterable, Comparable, Hashable {
  case two = 2
  case three, four, five, six, seven, eight

  /// The largest integer, q.
  public var largest: Int { (1 << (rawValue - 1)) - 1 }

  /// The least part of the squared norm of Gaussian numbers that rounding them takes, by the best step.
  package var gaussianNoise: Double {
    switch self {
    case .two: 0.19
    case .three: 0.0469
    case .four: 0.0129
    case .five: 0.0037
    case .six: 0.00107
    case .seven: 0.00031
    case .eight: 0.00009
    }
  }

  /// Orders widths by their bits.
  public static func < (a: BitWidth, b: BitWidth) -> Bool { a.rawValue < b.rawValue }
}

/// How a file stores the numbers of a weight.
public enum WeightStorage: Sendable, Hashable {
  /// As floating-point numbers of the layer's own type.
  case float
  /// As integers of so many bits, with one scale for each output channel.
  case integers(BitWidth)
  /// As codes of so many bits for numbers that are chosen for each weight among floating-point numbers of one byte.
  case levels(BitWidth)

  /// The width of the integers or codes; nil for floating-point numbers of the layer's own type.
  public var width: BitWidth? {
    switch self {
    case .float: nil
    case .integers(let width), .levels(let width): width
    }
  }
}

extension WeightStorage {
  /// Whether output channels have scales of their own.
  public var hasScaleOfEachChannel: Bool {
    switch self {
    case .integers: true
    case .float, .levels: false
    }
  }
}

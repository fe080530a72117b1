import Basics
import Checkpoints
import HDF5
import ModelGraph
import TensorCore

/// How a file stores a weight whose numbers are floating-point numbers of one byte: as codes of fewer bits, in a form that the HDF5
/// library turns into numbers when any program reads them.
struct KerasCoding: Sendable, Equatable {
  let width: BitWidth
  /// The exponent of the unit of which all numbers are multiples.
  let unitExponent: Int

  /// How a weight of a replacement is stored; nil where it is stored in the layer's own type.
  ///
  /// - Parameter index: of the weight among the replacement's convolutions.
  init?(_ replacement: Replacement, _ index: Int) {
    guard let width = Self.width(replacement.storage) else { return nil }
    self.width = width
    guard !replacement.rounded.isEmpty else {
      unitExponent = ByteFloat.unitExponents.upperBound
      return
    }
    let scales = Set(replacement.rounded[index].scales)
    precondition(scales.count == 1, "a weight of '\(replacement.layer)' has \(scales.count) scales")
    unitExponent = Int(scales.first.required("a weight has output channels").exponent)
  }

  /// The bits of a code; nil for numbers of the layer's own type.
  private static func width(_ storage: WeightStorage) -> BitWidth? {
    switch storage {
    case .float: nil
    case .levels(let width): width
    case .integers: preconditionFailure("Keras files have no integers with scales")
    }
  }

  /// A type that holds the numbers exactly: that of the tensors of which codes are made.
  var dtype: DType { .f32 }

  var type: HDF5ElementType { .byteFloat(bias: -3 - unitExponent, bits: width.rawValue) }

  /// Why a Keras file cannot store a layer's weights so; nil where it can.
  static func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    switch storage {
    case .float: return nil
    case .integers: return "Keras files have no integers with scales"
    case .levels:
      if layer.dtype != .f32, layer.dtype != .f16 {
        return
          "what is stored in fewer bits is read in single precision, and the layer's numbers are \(layer.dtype.rawValue)"
      }
      if layer.convolution.groups > 1 {
        return "a file has one scale for a kernel, and each of the layer's groups needs its own"
      }
      // The library's limit for what is compressed as one.
      return layer.convolution.parameterCount < Int(UInt32.max)
        ? nil : "its kernel has more numbers than an HDF5 file compresses as one"
    }
  }
}

extension HDF5Dataset {
  /// A tensor as a file stores it.
  ///
  /// - Parameter coding: nil for a tensor that is stored in its own type.
  /// - Precondition: The numbers are some that the coding has.
  init(_ tensor: StoredTensor, _ coding: KerasCoding?) {
    guard let coding else {
      self.init(shape: tensor.shape, type: HDF5ElementType(tensor.dtype), bytes: tensor.bytes)
      return
    }
    precondition(tensor.dtype == coding.dtype, "'\(tensor.name)' is stored as \(tensor.dtype.rawValue)")
    let values = (try? tensor.decoded(as: Float.self)).required("binary32 is numbers").elements
    let codes = values.map { value in
      ByteFloat.code(value, unitExponent: coding.unitExponent).required("rounded numbers are numbers of their coding")
    }
    self.init(shape: tensor.shape, type: coding.type, bytes: codes)
  }
}

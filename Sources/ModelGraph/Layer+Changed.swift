import TensorCore

extension Layer {
  /// The layer with a reason not to replace its kernel; a reason that it has already stays.
  package func refused(_ reason: String) -> Layer {
    Layer(
      name: name, kind: kind, kernel: kernel, bias: bias, dtype: dtype, convolution: convolution,
      inputExtents: inputExtents, refusal: refusal ?? reason)
  }

  /// The layer with other input extents.
  package func with(inputExtents: [[Int]?]) -> Layer {
    Layer(
      name: name, kind: kind, kernel: kernel, bias: bias, dtype: dtype, convolution: convolution,
      inputExtents: inputExtents, refusal: refusal, isInDoubt: isInDoubt)
  }

  /// The same layer with a kernel that is stored in another type.
  package func with(dtype: DType) -> Layer {
    Layer(
      name: name, kind: kind, kernel: kernel, bias: bias, dtype: dtype, convolution: convolution,
      inputExtents: inputExtents, refusal: refusal, isInDoubt: isInDoubt)
  }
}

import ModelGraph

extension Convolution {
  /// The kernel's shape in one of the groups: (out / groups, in / groups, spatial...).
  package var kernelShapePerGroup: [Int] { [kernelShape[0] / max(1, groups)] + kernelShape.dropFirst() }
}

// The code of docs/library.md begins here.
import Decompositions
import Foundation
import ModelGraph
import TensorCore

/// Fits a SeKron to a stored kernel (out, in, height, width) of 32-bit floats and prints how close it comes.
func fitSeKron(to file: URL, shape: [Int], parameters: Int) throws -> Double? {
  let bytes = [UInt8](try Data(contentsOf: file))
  let kernel: Tensor<Double> = try StoredTensor(name: "kernel", dtype: .f32, shape: shape, bytes: bytes).decoded()
  let search = try PatternSearch(kernel, convolution: Convolution(kernelShape: shape, window: .unit(2)))
  guard let candidate = try search.best(of: Structures.named("sekron"), parameters: parameters) else { return nil }
  let layer = try candidate.fit(kernel)
  print("shapes \(candidate.shapes), ranks \(candidate.ranks): \(candidate.parameterCount) of \(kernel.count) numbers")
  print("||W - What|| / ||W|| = \(layer.discrepancy)")
  return layer.discrepancy
}
// The code of docs/library.md ends here.

import Basics
import Checkpoints
import HDF5
import ModelGraph
import TensorCore

/// Stores the kernel of a layer otherwise that keeps its form.
struct KerasKernelEdit {
  let layer: Layer
  private let replacement: Replacement
  private let kernel: StoredTensor
  private let coding: KerasCoding?

  /// - Throws: `Failure` where the file has no such layer.
  init(_ replacement: Replacement, of graph: KerasGraph) throws {
    let found = graph.architecture?.index.layers[replacement.layer]
    guard let layer = found ?? graph.layers.first(where: { $0.name == replacement.layer }),
      let kernel = graph.weightsByName[layer.kernel.name]
    else { throw KerasEditor.failure(replacement.layer, "the model has no such layer") }
    self.layer = layer
    self.replacement = replacement
    self.kernel = kernel
    coding = KerasCoding(replacement, 0)
  }

  /// Puts the kernel's numbers in place of the old ones; zeros where only the size matters.
  ///
  /// - Throws: `Failure` where a number is none of the kernel's type.
  func apply(to file: inout KerasFile) throws {
    let values = replacement.weights.first ?? Tensor(zeros: layer.kernelShape)
    let stored = try StoredTensor(
      name: kernel.name, layer.kernel.write(values, shape: kernel.shape), as: coding?.dtype ?? kernel.dtype,
      of: layer)
    file.layers = file.layers.map { group in
      guard group.weights.contains(where: { $0.name == stored.name }) else { return group }
      return KerasFile.LayerGroup(
        name: group.name, weights: group.weights.map { $0.name == stored.name ? stored : $0 })
    }
    file.codings[stored.name] = coding
  }

  /// What a file grows by (negative: shrinks by), in bytes. Where the kernel stands makes no difference.
  var growth: Int {
    let own = HDF5SizeTree.byteCount(of: kernel.shape, HDF5ElementType(kernel.dtype))
    return coding.map { HDF5SizeTree.byteCount(of: kernel.shape, $0.type) - own } ?? 0
  }
}

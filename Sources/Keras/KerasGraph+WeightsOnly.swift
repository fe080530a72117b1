import Basics
import ModelGraph
import TensorCore

extension KerasFile {
  /// Why the file has no graph, for one without an architecture.
  var absentArchitecture: String {
    ownClass.map {
      "the model is of a class of its own, \($0): its layers and their order are in code, which is never run"
    }
      ?? "the file holds weights only"
  }
}

extension KerasGraph {
  /// The kernels of a file without architecture, recognised by their names and shapes; HWIO as Keras 2 stores them.
  static func layersWithoutArchitecture(_ file: KerasFile) -> [Layer] {
    var names: Set<String> = []
    let refusal = file.ownClass.map { "its model's class is its author's own, \($0)" } ?? "the file has no architecture"
    return file.layers.flatMap { group -> [Layer] in
      let weights = group.weights
      // Variables that go by numbers: a kernel and its bias, or something with more of them that the file does not tell.
      let isNumbered = weights.allSatisfy { Int($0.leaf) != nil }
      let isRecurrent =
        weights.contains { $0.leaf.contains("recurrent") }
        || (isNumbered && weights.filter { $0.shape.count > 1 }.count > 1)
      let kernels = weights.indices.filter { !isRecurrent && weights[$0].isKernelAlone }
      let isOneLayer = Set(kernels.map { weights[$0].scope }).count <= 1
      return kernels.map { index in
        let next = index + 1 < weights.count ? weights[index + 1] : nil
        var name = isOneLayer ? group.name : weights[index].scope
        if kernels.count > 1, weights[index].isDepthwise { name += "/depthwise" }
        while !names.insert(name).inserted { name += "/kernel" }
        return layer(
          name, weights[index], bias: next.flatMap { $0.isBias(of: weights[index]) ? $0 : nil }, refusal: refusal)
      }
    }
  }

  private static func layer(_ name: String, _ kernel: StoredTensor, bias: StoredTensor?, refusal: String) -> Layer {
    let order = kernel.shape.count - 2
    let permutation = [Int].kernelLast(order)
    let shape = permutation.map { kernel.shape[$0] }
    return Layer(
      name: name,
      kind: kernel.isDepthwise ? .depthwiseConvolution : order == 0 ? .linear : .convolution,
      kernel: TensorReference(kernel.name, permutation: permutation),
      bias: bias.map { TensorReference($0.name) }, dtype: kernel.dtype,
      convolution: Convolution(kernelShape: shape, window: .unit(order)),
      refusal: kernel.isDepthwise
        ? "a depthwise kernel shares nothing between channels" : refusal)
  }
}

extension StoredTensor {
  /// The last part of the name, without TensorFlow's `:0`.
  var leaf: String {
    let last = name.split(separator: "/").last.map(String.init) ?? name
    return last.split(separator: ":").first.map(String.init) ?? last
  }

  /// The name in front of the last part.
  var scope: String { name.split(separator: "/").dropLast().joined(separator: "/") }

  /// Whether a tensor can only be a kernel: old files name kernels in many ways, `conv1_W` or `uniform1`.
  fileprivate var isKernelAlone: Bool {
    (2...5).contains(shape.count) && shape.allSatisfy { $0 > 0 }
      && !["embeddings", "alpha"].contains { leaf.contains($0) }
  }

  fileprivate var isDepthwise: Bool { leaf.contains("depthwise") }

  fileprivate func isBias(of kernel: StoredTensor) -> Bool {
    shape == [kernel.shape[kernel.shape.count - 1]]
      && (leaf.hasSuffix("bias") || leaf.hasSuffix("_b") || Int(leaf) != nil)
  }
}

import Basics
import ModelGraph
import TensorCore

/// Dense, which is a convolution without spatial axes, and its likes.
extension KerasLayerType {
  static let dense: [String: KerasLayerType] = {
    let plain = kernelLayer(
      names: { layer in layer.quantization(of: ["kernel"]) { KerasWeightNames(trainable: ["kernel"] + layer.biasName) }
      },
      kernels: { [try $0.denseKernel()] },
      operations: { layer in [try layer.denseKernel().operation(.channelsLast)] })
    return [
      "Dense": KerasLayerType(weightNames: plain.weightNames, layers: plain.layers) { use in
        use.layer.quantizationMode == nil ? try plain.expansion(&use) : try use.quantizedDense()
      }
    ]
  }()

  static let einsums: [String: KerasLayerType] = [
    "EinsumDense": KerasLayerType(
      weightNames: { layer in
        let bias = layer.value("bias_axes")?.string.map { $0.isEmpty ? [] : ["bias"] } ?? []
        return layer.quantization(of: ["kernel"]) { KerasWeightNames(trainable: ["kernel"] + bias) }
      },
      layers: { layer in try layer.einsumKernel() },
      expansion: { use in
        guard let value = try use.values().first else { throw use.layer.withoutInput }
        let product = try use.layer.productKernel().map { use.append($0.operation(.channelsLast), [value]) }
        return [try use.activated(try product ?? use.einsumDense(value))]
      })
  ]
}

extension KerasLayer {
  /// Stored (in, out).
  fileprivate func denseKernel() throws -> Layer {
    let units = try integer("units")
    let stored = try weight("kernel", [nil, units])
    return Layer(
      name: path, kind: .linear, kernel: TensorReference(stored.name, permutation: .kernelLast(0)),
      bias: try bias(units), dtype: stored.dtype,
      convolution: Convolution(kernelShape: [units, stored.shape[0]], window: .unit(0)), refusal: quantizedReason)
  }

  /// Why a structure cannot replace a kernel that Keras quantized; nil for any other.
  fileprivate var quantizedReason: String? { quantizationMode.map { "Keras has quantized it to \($0)" } }

  /// The labels of an equation of two operands, of which the second is the kernel.
  ///
  /// - Parameter inputRank: How many axes the input has; nil takes as many as the equation names.
  fileprivate func equation(inputRank: Int?) throws -> KerasEquation {
    let text = try string("equation", default: "")
    let named = text.filter { $0 != " " }.prefix { $0 != "," }
    let kernelRank = weights["kernel"]?.shape.count ?? 0
    guard
      let equation = KerasEquation(
        text, ranks: [inputRank ?? named.filter { $0 != "." }.count + (named.contains(".") ? 1 : 0), kernelRank])
    else {
      throw failure("cannot be read", "its equation is '\(text)' for a kernel of \(kernelRank) axes")
    }
    return equation
  }

  /// The kernel of an EinsumDense that is a Dense: a product over the input's last axis, whose place the outputs take; nil for any other.
  fileprivate func productKernel() throws -> Layer? {
    let equation = try equation(inputRank: nil)
    let (input, labels) = (equation.operands[0], equation.operands[1])
    guard quantizationMode == nil, labels.count == 2, labels[0] == input.last, !input.contains(labels[1]),
      equation.result == Array(input.dropLast()) + [labels[1]]
    else { return nil }
    let bias = value("bias_axes")?.string ?? ""
    guard bias.isEmpty || bias == String(labels[1]) else { return nil }
    let stored = try weight("kernel", [nil, nil])
    let (inputs, outputs) = (stored.shape[0], stored.shape[1])
    return Layer(
      name: path, kind: .linear, kernel: TensorReference(stored.name, permutation: .kernelLast(0)),
      bias: try reference("bias", [outputs], if: !bias.isEmpty), dtype: stored.dtype,
      convolution: Convolution(kernelShape: [outputs, inputs], window: .unit(0)))
  }

  fileprivate func einsumKernel() throws -> [Layer] {
    if let product = try productKernel() { return [product] }
    let equation = try equation(inputRank: nil)
    let labels = equation.operands[1]
    let stored = try weight("kernel", labels.map { _ in nil })
    let outputs = labels.indices.filter { equation.result.contains(labels[$0]) }
    let inputs = labels.indices.filter { !outputs.contains($0) }
    return [
      matrix(
        path, stored, order: outputs + inputs, outputs: outputs.map { stored.shape[$0] }.reduce(1, *),
        reason: quantizedReason ?? "stock layers express an EinsumDense only as a whole")
    ]
  }
}

extension KerasUse {
  /// A layer whose kernel is stored as integers, with one scale for each output.
  fileprivate mutating func quantizedDense() throws -> [String] {
    guard let value = try values().first else { throw layer.withoutInput }
    let units = try layer.integer("units")
    let kernel = try parameter("kernel", [nil, units])
    var scale = try parameter("kernel_scale", [units])
    var factor = value
    if let rounded = try rounded(value, axes: [-1]) {
      (factor, scale) = (rounded.value, elementwise(.multiply, scale, rounded.scale))
    }
    let product = append(.matrixProduct, [factor, kernel])
    var result = elementwise(.divide, product, scale)
    if let added = try adapted(value, { use, x, matrix in use.append(.matrixProduct, [x, matrix]) }) {
      result = elementwise(.add, result, added)
    }
    if !layer.biasName.isEmpty { result = elementwise(.add, result, try parameter("bias", [units])) }
    result = try activated(result)
    setMask(mask(of: value), of: result)
    return [result]
  }

  /// What LoRA's matrices add to the product with a kernel of integers; nil where there are none.
  private mutating func adapted(
    _ value: String, _ product: (inout KerasUse, _ value: String, _ first: String) throws -> String
  ) throws -> String? {
    guard let factor = layer.adapterScale, let a = layer.weights["lora_kernel_a"] else { return nil }
    let first = try parameter("lora_kernel_a", a.shape)
    let second = try parameter("lora_kernel_b", [nil, nil])
    let narrow = try product(&self, value, first)
    let wide = append(.matrixProduct, [narrow, second])
    return elementwise(.multiply, wide, scalar(factor))
  }

  /// The product of an EinsumDense, its bias included.
  fileprivate mutating func einsumDense(_ value: String) throws -> String {
    let equation = try layer.equation(inputRank: try rank(of: value))
    let (labels, kernelLabels) = (equation.operands[0], equation.operands[1])
    let kernel = try parameter("kernel", kernelLabels.map { _ in nil })
    var result: String
    if layer.quantizationMode == nil {
      result = try contract(value, labels, kernel, kernelLabels, to: equation.result)
    } else {
      guard layer.adapterScale == nil else {
        throw layer.failure("cannot be run", "it has LoRA's matrices beside a quantized kernel")
      }
      var scale = try parameter("kernel_scale", layer.weights["kernel_scale"]?.shape ?? [])
      var factor = value
      let summed = labels.indices.filter { !equation.result.contains(labels[$0]) }
      if let rounded = try rounded(value, axes: summed) {
        // The scale with the axes of the result, of extent 1 where the kernel's axes are.
        let kept = labels.filter(equation.result.contains)
        let inOrder = equation.result.filter(kept.contains)
        let own = transpose(squeeze(rounded.scale, axes: summed), inOrder.compactMap { kept.firstIndex(of: $0) })
        let made = equation.result.indices.filter { !kept.contains(equation.result[$0]) }
        (factor, scale) = (rounded.value, elementwise(.multiply, expand(own, axes: made), scale))
      }
      result = elementwise(
        .divide, try contract(factor, labels, kernel, kernelLabels, to: equation.result), scale)
    }
    if let bias = layer.weights["bias"] { result = elementwise(.add, result, try parameter("bias", bias.shape)) }
    return result
  }
}

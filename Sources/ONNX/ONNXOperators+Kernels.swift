import ModelGraph
import TensorCore

/// Convolutions, matrix products, pooling.
extension ONNXOperators {
  static let kernels: [String: Converter] = [
    "Conv": { conversion in
      guard let kernel = conversion.kernel else { return conversion.refuse(conversion.kernelAbsence) }
      try conversion.emitConvolution(kernel, layout: .channelsFirst) {
        .convolution(kernel.convolution, layout: .channelsFirst, kernel: kernel.reference, bias: $0)
      }
    },
    "ConvTranspose": transposedConvolution,
    "Gemm": gemm,
    "MatMul": { conversion in
      guard let kernel = conversion.kernel else {
        return conversion.emit(.matrixProduct, [try conversion.operand(0), try conversion.operand(1)])
      }
      conversion.emit(
        .convolution(kernel.convolution, layout: .channelsLast, kernel: kernel.reference, bias: nil),
        [try conversion.operand(0)])
    },
    "MaxPool": pooling(.maximum), "AveragePool": pooling(.average),
    "GlobalMaxPool": {
      $0.emit(.globalPooling(.maximum, layout: .channelsFirst, keepsAxes: true), [try $0.operand(0)])
    },
    "GlobalAveragePool": {
      $0.emit(.globalPooling(.average, layout: .channelsFirst, keepsAxes: true), [try $0.operand(0)])
    },
  ]

  private static let transposedConvolution: Converter = { conversion in
    let node = conversion.node
    guard let kernel = conversion.kernel else { return conversion.refuse(conversion.kernelAbsence) }
    guard node.ints("output_shape") == nil else { return conversion.refuse("with an output_shape") }
    try conversion.emitConvolution(kernel, layout: .channelsFirst) { bias in
      kernel.transposedOperation(outputPadding: node.outputPadding(kernel.convolution.window), bias: bias)
    }
  }

  private static let gemm: Converter = { conversion in
    let node = conversion.node
    if let kernel = conversion.kernel {
      return try conversion.emitConvolution(kernel, layout: .channelsLast) {
        .convolution(kernel.convolution, layout: .channelsLast, kernel: kernel.reference, bias: $0)
      }
    }
    func turned(_ index: Int, _ key: String) throws -> String {
      let operand = try conversion.operand(index)
      guard node.int(key, default: 0) != 0 else { return operand }
      return conversion.intermediate(key, .array(.transpose(order: [1, 0])), [operand])
    }
    func scaled(_ value: String, _ key: String) -> String {
      let factor = node.float(key, default: 1)
      guard factor != 1 else { return value }
      return conversion.intermediate(
        key, .array(.elementwise(.multiply)), [value, conversion.builder.literal(Literal(scalar: factor))])
    }
    let operands = [try turned(0, "transA"), try turned(1, "transB")]
    guard node.input(2) != nil else {
      guard node.float("alpha", default: 1) != 1 else { return conversion.emit(.matrixProduct, operands) }
      let product = conversion.intermediate("product", .array(.matrixProduct), operands)
      return conversion.emit(.identity, [scaled(product, "alpha")])
    }
    let product = conversion.intermediate("product", .array(.matrixProduct), operands)
    conversion.emit(
      .elementwise(.add), [scaled(product, "alpha"), scaled(try conversion.operand(2), "beta")])
  }

  private static func pooling(_ kind: Pooling.Kind) -> Converter {
    { conversion in
      let node = conversion.node
      guard let extents = node.ints("kernel_shape"), (1...3).contains(extents.count) else {
        throw node.failure("it has no kernel_shape of 1 to 3 extents")
      }
      guard conversion.output(1) == nil else { return conversion.refuse("whose indices are used") }
      let roundsUp = node.int("ceil_mode", default: 0) != 0
      let countsPadding = node.int("count_include_pad", default: 0) != 0
      guard !(kind == .average && roundsUp && countsPadding) else {
        return conversion.refuse("with ceil_mode and count_include_pad")
      }
      conversion.emit(
        .pooling(
          Pooling(
            kind: kind, extents: extents, window: try node.window(extents.count), layout: .channelsFirst,
            countsPadding: countsPadding, roundsUp: roundsUp)),
        [try conversion.operand(0)])
    }
  }
}

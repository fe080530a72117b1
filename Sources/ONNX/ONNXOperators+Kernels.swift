import ModelGraph
import TensorCore

/// Convolutions and matrix products.
extension ONNXOperators {
  static let kernels: [String: Converter] = [
    "Conv": convolution(isTransposed: false), "ConvTranspose": convolution(isTransposed: true),
    "Gemm": gemm,
    "Einsum": { conversion in
      let equation = try EinsumEquation(conversion.node.text("equation", default: ""))
      conversion.emit(.einsum(equation), try conversion.operands())
    },
    "Col2Im": columnsToImage,
    "MatMul": { conversion in
      guard let kernel = conversion.kernel else {
        return conversion.emit(.matrixProduct, [try conversion.operand(0), try conversion.operand(1)])
      }
      conversion.emit(
        .convolution(kernel.convolution, layout: .channelsLast, kernel: kernel.reference, bias: nil),
        [try conversion.operand(0)])
    },
  ]

  private static func convolution(isTransposed: Bool) -> Converter {
    { conversion in
      let node = conversion.node
      if let kernel = conversion.kernel {
        return try conversion.emitConvolution(kernel, layout: .channelsFirst) { bias in
          isTransposed
            ? try kernel.transposedOperation(node, bias: bias)
            : .convolution(kernel.convolution, layout: .channelsFirst, kernel: kernel.reference, bias: bias)
        }
      }
      if let obstacle = conversion.kernelObstacle { return conversion.refuse(obstacle) }
      guard let order = kernelOrder(node), (1...3).contains(order) else {
        return conversion.refuse("whose kernel's axes are computed by other nodes")
      }
      guard node.ints("output_shape") == nil else {
        return conversion.refuse("with an output_shape and a kernel that other nodes compute")
      }
      let window = try node.window(order)
      let operation = ArrayOperation.convolution(
        OperandConvolution(
          window: isTransposed ? window.withStatedBorders : window, groups: node.int("group", default: 1),
          isTransposed: isTransposed, outputPadding: isTransposed ? node.outputPadding(window) : nil))
      let operands = [try conversion.operand(0), try conversion.operand(1)]
      guard node.input(2) != nil else { return conversion.emit(operation, operands) }
      let product = conversion.intermediate("product", .array(operation), operands)
      conversion.emit(
        .elementwise(.add), [product, conversion.aligned(try conversion.weight(2), with: product, axis: 1)])
    }
  }

  /// The count of spatial axes of a kernel that is a value; nil where nothing says it.
  private static func kernelOrder(_ node: ONNXNode) -> Int? {
    node.ints("kernel_shape")?.count ?? node.tensor(1).map { $0.shape.count - 2 } ?? node.ints("strides")?.count
      ?? node.ints("dilations")?.count ?? node.ints("pads").map { $0.count / 2 }
  }

  /// Sums of overlapping blocks: a transposed convolution of every channel by itself, whose kernel puts each entry of a block in its
  /// place.
  private static let columnsToImage: Converter = { conversion in
    let node = conversion.node
    guard let image = try node.parameter(1, orAttribute: ""), let block = try node.parameter(2, orAttribute: "") else {
      return conversion.refuse("of an image whose extents other nodes compute")
    }
    let order = block.count
    let window = try node.window(order)
    guard (1...3).contains(order), image.count == order,
      (image + block + window.stride + window.dilation).allSatisfy({ (1...1 << 20).contains($0) }),
      let cells = block.productIfExact, cells <= 4096
    else { throw node.failure("an image of \(image) in blocks of \(block)", "expected 1 to 3 positive extents each") }
    var borders = Array(repeating: (0, 0), count: order)
    if case .explicit(let before, let after) = window.padding { borders = Array(zip(before, after)) }
    var counts: [Int] = []
    var rest: [Int] = []
    for axis in 0..<order {
      guard (0...1 << 20).contains(borders[axis].0), (0...1 << 20).contains(borders[axis].1) else {
        throw node.failure("its pads are too large", "expected at most \(1 << 20)")
      }
      let room = image[axis] + borders[axis].0 + borders[axis].1 - (block[axis] - 1) * window.dilation[axis] - 1
      guard room >= 0 else { throw node.failure("blocks of \(block) do not fit an image of \(image)") }
      counts.append(room / window.stride[axis] + 1)
      rest.append(room % window.stride[axis])
    }
    let input = try conversion.operand(0)
    let unit = (0..<cells * cells).map { $0 / cells == $0 % cells ? 1.0 : 0 }
    let kernel = conversion.builder.literal(Literal(shape: [cells, 1] + block, values: unit))
    let channels = conversion.reshaped(input, [-1, cells] + counts)
    let images = conversion.value(
      .convolution(
        OperandConvolution(window: window.withStatedBorders, groups: 1, isTransposed: true, outputPadding: rest)),
      [channels, kernel])
    let shape = conversion.value(
      .concatenate(axis: 0), [conversion.extent(input, 0), conversion.literal([-1] + image)])
    conversion.emit(.reshape(keepsZero: false), [images, shape])
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
}

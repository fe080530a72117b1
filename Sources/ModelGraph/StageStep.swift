/// One node of the stages in the place of a layer, with the shapes of the value that it reads and of the one that it makes.
public struct StageStep: Sendable, Equatable {
  /// The node's operation; its weights have no names.
  public let operation: Operation
  /// The shape of what the node reads, the batch included.
  public let input: [Int]
  /// The shape of what the node makes, the batch included.
  public let output: [Int]

  /// What the node does for these shapes.
  public var work: [NodeWork] {
    Node(name: "", layer: "", operation: operation, inputs: [""]).work(inputs: [input], output: output)
  }
}

extension [Stage] {
  /// The nodes of the stages where a layer is used, in their order: what runs in its place, for counting.
  ///
  /// - Parameter input: The shape of what the layer reads, the batch included.
  /// - Precondition: The stages take the layer's place: they fit the input.
  public func steps(on input: [Int], layout: ChannelLayout) -> [StageStep] {
    let any = TensorReference("")
    let nodes = nodes(
      name: "", layer: "", input: "", layout: layout, factors: convolutions.map { _ in any }, bias: hasBias ? any : nil)
    var shape = input
    return nodes.map { node in
      guard let output = try? node.operation.outputShape(of: [shape.map(Int?.some)])?.known else {
        preconditionFailure("\(node.operation) does not take \(shape)")
      }
      defer { shape = output }
      return StageStep(operation: node.operation, input: shape, output: output)
    }
  }
}

/// A network as data: values by name, nodes in an order in which they can run. Neutral of any file format; the weights stay
/// in the checkpoint and are named by `TensorReference`s.
public struct ModelGraph: Sendable, Equatable {
  /// An input of the network.
  public struct Input: Sendable, Equatable {
    /// The value's name, under which data files may hold it.
    public let name: String
    /// The shape with the batch first; nil where the model leaves an extent open. Empty where `rankIsOpen`.
    public let shape: [Int?]
    /// Whether the model does not even say how many axes the input has: any array fits.
    public let rankIsOpen: Bool

    /// An input under its name, with its shape; nil where the model leaves even the count of axes open.
    public init(name: String, shape: [Int?]?) {
      self.name = name
      self.shape = shape ?? []
      rankIsOpen = shape == nil
    }

    /// The shape for messages.
    package var shapeText: String { rankIsOpen ? "any shape" : shape.text }
  }

  /// An output of the network.
  public struct Output: Sendable, Equatable {
    /// The name that the user sees.
    public let name: String
    /// The value that it shows.
    public let value: String

    /// A value that the network shows under a name.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The inputs of the network, in the order of the model.
  public let inputs: [Input]
  /// Every node comes after the nodes that produce its inputs.
  public let nodes: [Node]
  /// The outputs of the network, in the order of the model.
  public let outputs: [Output]

  /// A network of these nodes. `shapes()` checks whether they fit together.
  public init(inputs: [Input], nodes: [Node], outputs: [Output]) {
    self.inputs = inputs
    self.nodes = nodes
    self.outputs = outputs
  }
}

/// One operation applied to values. Every node has one output, the value of the node's own name.
public struct Node: Sendable, Equatable {
  /// Unique in the graph; also the name of the value that the node produces.
  public let name: String
  /// The layer of the checkpoint that the node belongs to, for messages and for swapping a layer's kernel; a shared layer
  /// has several nodes.
  public let layer: String
  /// What the node computes.
  public let operation: Operation
  /// The names of the input values: graph inputs or nodes.
  public let inputs: [String]

  /// An operation on named values.
  public init(name: String, layer: String, operation: Operation, inputs: [String]) {
    self.name = name
    self.layer = layer
    self.operation = operation
    self.inputs = inputs
  }
}

import Checkpoints
import ONNXProto
import TensorCore

/// What a model holds and computes in, for whoever lists it.
extension ONNXModel {
  /// The coarsest type of numbers in which the graph computes: of its weights, of its inputs, or of what a Cast makes. A Cast that only
  /// widens a stored tensor makes it no coarser.
  var computedType: DType {
    let weights = stored.filter(\.dtype.isCompressible).map { constant(named: $0.name)?.type ?? $0.dtype }
    let casts = proto.graph.everyNode
      .filter { $0.opType == "Cast" && $0.output.first.flatMap { stored(named: $0) } == nil }
      .compactMap { $0.attribute(named: "to").flatMap { Onnx_TensorProto.floatType(Int32(clamping: $0.i)) } }
    let inputs = proto.graph.input.compactMap { Onnx_TensorProto.floatType($0.type.tensorType.elemType) }
    return (weights + casts + inputs).max { $0.unitRoundoff < $1.unitRoundoff } ?? .f32
  }

  /// The operator of the first node that reads each value, by the value's name.
  var readers: [String: String] {
    Dictionary(proto.graph.node.flatMap { node in node.everyInput.map { ($0, node.opType) } }) { first, _ in first }
  }

  /// The tensors in the branches of conditional nodes and in the bodies of loops.
  var innerTensors: [InnerTensor] {
    proto.graph.node.flatMap { node -> [InnerTensor] in
      let place = node.opType == "If" ? "a branch of If" : "the body of \(node.opType)"
      return node.bodies.flatMap(\.everyTensor).compactMap { tensor -> InnerTensor? in
        guard let dtype = tensor.storedType, tensor.dims.allSatisfy({ $0 >= 0 }) else { return nil }
        let shape = tensor.dims.map { Int($0) }
        return dtype.byteCount(of: shape) == nil ? nil : InnerTensor(tensor.name, dtype, shape, in: place)
      }
    }
  }
}

extension Onnx_GraphProto {
  /// All nodes, those of inner graphs included.
  fileprivate var everyNode: [Onnx_NodeProto] { node.flatMap { [$0] + $0.bodies.flatMap(\.everyNode) } }

  /// The initialisers and the values of Constant nodes, those of inner graphs included.
  fileprivate var everyTensor: [Onnx_TensorProto] {
    initializer
      + node.flatMap { node in
        let own = node.opType == "Constant" ? node.attribute(named: "value").map { [$0.t] } ?? [] : []
        return own + node.bodies.flatMap(\.everyTensor)
      }
  }
}

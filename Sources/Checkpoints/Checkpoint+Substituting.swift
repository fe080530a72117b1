import Basics
import ModelGraph
import TensorCore

extension Checkpoint {
  /// The checkpoint in the original's form with other values for some kernels, for whatever reads the original.
  ///
  /// - Parameter kernels: by the layers' names, in the program's order (`Layer.kernelShape`).
  /// - Throws: `Failure` when a value is no finite number of its tensor's type.
  package func substituting(kernels: [String: Tensor<Double>]) throws -> Checkpoint {
    var changed: [String: StoredTensor] = [:]
    for layer in layers {
      guard let kernel = kernels[layer.name], let stored = tensor(named: layer.kernel.name) else { continue }
      changed[stored.name] = try StoredTensor(
        name: stored.name, layer.kernel.write(kernel, shape: stored.shape), as: stored.dtype, of: layer)
    }
    return try substituting(changed)
  }

  /// The checkpoint with other values for some of its tensors.
  ///
  /// - Parameter offsets: in the program's order (`TensorReference.read`).
  /// - Throws: `Failure` where the checkpoint has no such tensor.
  package func substituting(offsets: [TensorReference: Tensor<Double>]) throws -> Checkpoint {
    var changed: [String: StoredTensor] = [:]
    for (reference, values) in offsets {
      guard let stored = tensor(named: reference.name) else {
        throw Failure(path, "has no tensor '\(reference.name)'", "its graph refers to it")
      }
      changed[stored.name] = StoredTensor(
        name: stored.name, reference.write(values, shape: stored.shape), as: stored.dtype)
    }
    return try substituting(changed)
  }

  /// The checkpoint with its floating-point tensors stored as another type; the network computes in the type that it did.
  ///
  /// Tensors with numbers that the type cannot hold keep their own, as `notices` then says.
  ///
  /// - Precondition: `dtype.isCompressible`: it holds floating-point numbers.
  /// - Throws: `Failure` where the format has no way to store the type.
  package func converted(to dtype: DType) throws -> Checkpoint {
    precondition(dtype.isCompressible, "\(dtype.rawValue) holds no floating-point numbers")
    if let reason = content.refusal(of: dtype) {
      throw Failure(path, "is not converted to \(dtype.rawValue)", reason, remedy: "choose f16, or leave --dtype out")
    }
    var changed: [String: StoredTensor] = [:]
    var kept: [String] = []
    for tensor in tensors where tensor.dtype.isCompressible && tensor.dtype != dtype {
      guard let dtype = content.storableType(dtype, of: tensor), dtype != tensor.dtype else { continue }
      let values = try tensor.decoded(as: Double.self)
      let stored = StoredTensor(name: tensor.name, values, as: dtype)
      guard try !values.isFinite || stored.decoded(as: Double.self).isCloseTo(values, in: dtype) else {
        kept.append(tensor.name)
        continue
      }
      changed[tensor.name] = stored
    }
    guard !changed.isEmpty || !kept.isEmpty else { return self }
    return try substituting(
      changed,
      notices: kept.isEmpty
        ? []
        : ["\(dtype.rawValue) cannot hold all numbers of '\(kept.joined(separator: "', '"))', which keep their type"])
  }

  /// What is known about the file itself, its hash say, stays that of the file that was read.
  private func substituting(_ changed: [String: StoredTensor], notices more: [String] = []) throws -> Checkpoint {
    Checkpoint(
      path: path, sha256: sha256, byteCount: byteCount, notices: notices + more,
      content: try content.substituting(changed))
  }
}

extension Tensor where Scalar == Double {
  /// Whether these are the numbers of another tensor as a type holds them: each finite, and together no farther than rounding to the type's
  /// fraction puts them. Numbers that are too small for the type are farther.
  fileprivate func isCloseTo(_ other: Tensor, in dtype: DType) -> Bool {
    isFinite && subtracting(other).norm <= dtype.unitRoundoff * other.norm
  }
}

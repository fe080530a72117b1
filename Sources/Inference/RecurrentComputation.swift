import Foundation
import LinearAlgebra
import ModelGraph
import TensorCore

/// LSTM, GRU and simple recurrent layers by the equations of the ONNX operators, with their default activations.
struct RecurrentComputation: Computation {
  private let layer: RecurrentLayer
  private let inputWeights: Tensor<Float>
  private let hiddenWeights: Tensor<Float>
  /// (directions, 2 * gates * hidden).
  private let bias: [Float]

  init(
    _ layer: RecurrentLayer, inputWeights: Tensor<Float>, hiddenWeights: Tensor<Float>, bias: Tensor<Float>?
  ) throws {
    self.layer = layer
    let (directions, rows) = (layer.directions.count, layer.kind.gateCount * layer.hiddenCount)
    guard inputWeights.order == 3, inputWeights.shape[0] == directions, inputWeights.shape[1] == rows,
      hiddenWeights.shape == [directions, rows, layer.hiddenCount],
      bias.map({ $0.count == directions * 2 * rows }) ?? true
    else {
      throw misfit(
        "weights of \(inputWeights.shape) and \(hiddenWeights.shape)",
        "expected \(directions) directions and \(rows) rows")
    }
    self.inputWeights = inputWeights
    self.hiddenWeights = hiddenWeights
    self.bias = bias?.elements ?? Array(repeating: 0, count: directions * 2 * rows)
  }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let (steps, batch, features) = (data.shape[0], data.shape[1], data.shape[2])
    guard features == inputWeights.shape[2] else {
      throw misfit("\(features) features", "expected \(inputWeights.shape[2])")
    }
    let (hidden, rows) = (layer.hiddenCount, layer.kind.gateCount * layer.hiddenCount)
    var sequence = Value(zeros: [steps, layer.directions.count, batch, hidden])
    var finalHidden: [Float] = []
    var finalCell: [Float] = []
    for (direction, isReversed) in layer.directions.enumerated() {
      // All steps' products with the input at once.
      var gates = [Float](repeating: 0, count: steps * batch * rows)
      BLAS.gemm(
        false, true, m: steps * batch, n: rows, k: features, a: data.elements, lda: max(1, features),
        b: inputWeights.elements, bOffset: direction * rows * features, ldb: max(1, features), c: &gates, ldc: rows)
      func initial(_ operand: Int) -> [Float] {
        let size = batch * hidden
        guard layer.hasInitialState, inputs.count > operand else { return Array(repeating: 0, count: size) }
        return Array(inputs[operand].elements[direction * size..<(direction + 1) * size])
      }
      var (state, cell) = (initial(1), initial(2))
      for step in isReversed ? Array((0..<steps).reversed()) : Array(0..<steps) {
        var products = [Float](repeating: 0, count: batch * rows)
        BLAS.gemm(
          false, true, m: batch, n: rows, k: hidden, a: state, lda: hidden, b: hiddenWeights.elements,
          bOffset: direction * rows * hidden, ldb: hidden, c: &products, ldc: rows)
        for sample in 0..<batch {
          let x = gates[(step * batch + sample) * rows..<(step * batch + sample + 1) * rows]
          let h = products[sample * rows..<(sample + 1) * rows]
          advance(x, h, direction, state: &state, cell: &cell, at: sample * hidden)
        }
        let target = ((step * layer.directions.count) + direction) * batch * hidden
        sequence.elements.replaceSubrange(target..<target + batch * hidden, with: state)
      }
      finalHidden += state
      finalCell += cell
    }
    return switch layer.result {
    case .sequence: sequence
    case .hidden: Value(shape: outputShape, elements: finalHidden)
    case .cell: Value(shape: outputShape, elements: finalCell)
    }
  }

  /// One step of one sample.
  private func advance(
    _ x: ArraySlice<Float>, _ h: ArraySlice<Float>, _ direction: Int, state: inout [Float], cell: inout [Float],
    at offset: Int
  ) {
    let (count, gateCount) = (layer.hiddenCount, layer.kind.gateCount)
    let biasOffset = direction * 2 * gateCount * count
    func input(_ gate: Int, _ i: Int) -> Float {
      x[x.startIndex + gate * count + i] + bias[biasOffset + gate * count + i]
    }
    func recurrent(_ gate: Int, _ i: Int) -> Float {
      h[h.startIndex + gate * count + i] + bias[biasOffset + (gateCount + gate) * count + i]
    }
    func sigmoid(_ value: Float) -> Float { 1 / (1 + exp(-value)) }
    switch layer.kind {
    case .rnn:
      for i in 0..<count { state[offset + i] = tanh(input(0, i) + recurrent(0, i)) }
    case .lstm:
      for i in 0..<count {
        let (enter, leave) = (sigmoid(input(0, i) + recurrent(0, i)), sigmoid(input(1, i) + recurrent(1, i)))
        let forget = sigmoid(input(2, i) + recurrent(2, i))
        cell[offset + i] = forget * cell[offset + i] + enter * tanh(input(3, i) + recurrent(3, i))
        state[offset + i] = leave * tanh(cell[offset + i])
      }
    case .gru:
      let old = Array(state[offset..<offset + count])
      let update = (0..<count).map { sigmoid(input(0, $0) + recurrent(0, $0)) }
      let reset = (0..<count).map { sigmoid(input(1, $0) + recurrent(1, $0)) }
      var candidate = (0..<count).map { input(2, $0) + reset[$0] * recurrent(2, $0) }
      if !layer.resetsAfterProduct {
        // The product is with the state that the gate has already acted on.
        let scaled = (0..<count).map { reset[$0] * old[$0] }
        let weights = (direction * gateCount + 2) * count * count
        for i in 0..<count {
          var sum: Float = 0
          for j in 0..<count { sum += hiddenWeights.elements[weights + i * count + j] * scaled[j] }
          candidate[i] = input(2, i) + sum + bias[biasOffset + (gateCount + 2) * count + i]
        }
      }
      for i in 0..<count {
        state[offset + i] = (1 - update[i]) * tanh(candidate[i]) + update[i] * old[i]
      }
    }
  }
}

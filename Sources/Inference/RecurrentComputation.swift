import Foundation
import LinearAlgebra
import ModelGraph
import TensorCore

/// LSTM, GRU and simple recurrent layers by the equations of the ONNX operators.
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
    let counts = [directions * 2 * rows, directions * rows]
    guard inputWeights.order == 3, inputWeights.shape[0] == directions, inputWeights.shape[1] == rows,
      hiddenWeights.shape == [directions, rows, layer.hiddenCount], bias.map({ counts.contains($0.count) }) ?? true
    else {
      throw misfit(
        "weights of \(inputWeights.shape) and \(hiddenWeights.shape)",
        "expected \(directions) directions and \(rows) rows")
    }
    self.inputWeights = inputWeights
    self.hiddenWeights = hiddenWeights
    let zeros = [Float](repeating: 0, count: rows)
    if let bias, bias.count == counts[1] {
      self.bias = (0..<directions).flatMap { bias.elements[$0 * rows..<($0 + 1) * rows] + zeros }
    } else {
      self.bias = bias?.elements ?? Array(repeating: 0, count: counts[0])
    }
  }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let data = inputs[0]
    let (steps, batch, features) = (data.shape[0], data.shape[1], data.shape[2])
    guard features == inputWeights.shape[2] else {
      throw misfit("\(features) features", "expected \(inputWeights.shape[2])")
    }
    let (hidden, rows) = (layer.hiddenCount, layer.kind.gateCount * layer.hiddenCount)
    let size = batch * hidden
    let mask = try mask(of: inputs, steps: steps, batch: batch)
    let states = Array(inputs.dropFirst(layer.mask == nil ? 1 : 2))
    for state in states where state.elements.count != layer.directions.count * size {
      throw misfit("an initial state of \(state.shape)", "expected \([layer.directions.count, batch, hidden])")
    }
    var sequence = Value(zeros: [steps, layer.directions.count, batch, hidden])
    var finalHidden: [Float] = []
    var finalCell: [Float] = []
    for (direction, isReversed) in layer.directions.enumerated() {
      // All steps' products with the input at once.
      var gates = [Float](repeating: 0, count: steps * batch * rows)
      BLAS.gemm(
        false, true, m: steps * batch, n: rows, k: features, a: data.elements, lda: max(1, features),
        b: inputWeights.elements, bOffset: direction * rows * features, ldb: max(1, features), c: &gates, ldc: rows)
      func initial(_ index: Int) -> [Float] {
        states.indices.contains(index)
          ? Array(states[index].elements[direction * size..<(direction + 1) * size])
          : Array(repeating: 0, count: size)
      }
      var (state, cell) = (initial(0), initial(1))
      var output = [Float](repeating: 0, count: size)
      for step in isReversed ? Array((0..<steps).reversed()) : Array(0..<steps) {
        var products = [Float](repeating: 0, count: batch * rows)
        BLAS.gemm(
          false, true, m: batch, n: rows, k: hidden, a: state, lda: hidden, b: hiddenWeights.elements,
          bOffset: direction * rows * hidden, ldb: hidden, c: &products, ldc: rows)
        for sample in 0..<batch {
          let place = sample * hidden..<(sample + 1) * hidden
          if let mask, mask[step * batch + sample] == 0 {
            if layer.mask == .zeroesOutput { for i in place { output[i] = 0 } }
            continue
          }
          let x = gates[(step * batch + sample) * rows..<(step * batch + sample + 1) * rows]
          let h = products[sample * rows..<(sample + 1) * rows]
          advance(x, h, direction, state: &state, cell: &cell, at: place.lowerBound)
          for i in place { output[i] = state[i] }
        }
        let target = ((step * layer.directions.count) + direction) * size
        sequence.elements.replaceSubrange(target..<target + size, with: output)
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

  /// Which steps count, (steps, batch); nil where all do.
  private func mask(of inputs: [Value], steps: Int, batch: Int) throws -> [Float]? {
    guard layer.mask != nil else { return nil }
    guard inputs[1].shape == [steps, batch] else {
      throw misfit("a mask of \(inputs[1].shape)", "expected \([steps, batch])")
    }
    return inputs[1].elements
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
    func gate(_ gate: Int, _ function: Activation) -> [Float] {
      function.applied(to: (0..<count).map { input(gate, $0) + recurrent(gate, $0) })
    }
    let functions = layer.activations
    switch layer.kind {
    case .rnn:
      let next = gate(0, functions.candidate)
      for i in 0..<count { state[offset + i] = next[i] }
    case .lstm:
      let (o, f, c) = layer.gateOrder == .inputOutputForgetCandidate ? (1, 2, 3) : (3, 1, 2)
      let (enter, leave, forget) = (gate(0, functions.gate), gate(o, functions.gate), gate(f, functions.gate))
      let candidate = gate(c, functions.candidate)
      for i in 0..<count { cell[offset + i] = forget[i] * cell[offset + i] + enter[i] * candidate[i] }
      let shown = functions.output.applied(to: Array(cell[offset..<offset + count]))
      for i in 0..<count { state[offset + i] = leave[i] * shown[i] }
    case .gru:
      let old = Array(state[offset..<offset + count])
      let (update, reset) = (gate(0, functions.gate), gate(1, functions.gate))
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
      candidate = functions.candidate.applied(to: candidate)
      for i in 0..<count { state[offset + i] = (1 - update[i]) * candidate[i] + update[i] * old[i] }
    }
  }
}

extension Activation {
  /// The function of every element.
  fileprivate func applied(to elements: [Float]) -> [Float] {
    var elements = elements
    var span = elements.mutableSpan
    apply(to: &span)
    return elements
  }
}

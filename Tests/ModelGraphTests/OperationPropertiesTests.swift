import TensorCore
import Testing

@testable import ModelGraph

/// What is said of every operation at one place.
@Suite struct OperationPropertiesTests {
  private static func reference(_ name: String) -> TensorReference { TensorReference(name) }

  /// One operation with every weight that it can have.
  static let weighted: [Operation] = [
    .convolution(
      Convolution(kernelShape: [4, 3, 1, 1], window: .unit(2)), layout: .channelsFirst, kernel: reference("k"),
      bias: reference("b")),
    .transposedConvolution(
      TransposedConvolution(
        kernelShape: [3, 4, 2, 2], window: .unit(2), layout: .channelsLast, kernel: reference("k"),
        bias: reference("b"))),
    .batchNormalization(
      axis: -1, epsilon: 1e-3, gamma: reference("g"), beta: reference("b"), mean: reference("m"),
      variance: reference("v")),
    .layerNormalization(axes: [1], epsilon: 1e-3, gamma: reference("g"), beta: reference("b")),
    .normalization(axes: [1], mean: reference("m"), variance: reference("v")),
    .parametricReLU(slopes: reference("s")),
    .bias(reference("b"), layout: .channelsLast),
    .array(.parameter(reference("p"), shape: [3, 4])),
    .array(
      .recurrent(
        RecurrentLayer(
          kind: .lstm, hiddenCount: 2, directions: [false], inputWeights: reference("w"), hiddenWeights: reference("r"),
          bias: reference("b"), resetsAfterProduct: false, hasInitialState: false, result: .sequence))),
  ]

  @Test(arguments: weighted) func referencesAreThoseThatCanBeReplaced(_ operation: Operation) {
    var visited: [TensorReference] = []
    let renamed = operation.replacingReferences { reference in
      visited.append(reference)
      return reference.renamed("new/" + reference.name)
    }
    #expect(!visited.isEmpty)
    #expect(operation.references == visited)
    #expect(renamed.references.map(\.name) == visited.map { "new/" + $0.name })
  }

  @Test func operationsWithoutWeightsHaveNone() {
    for operation: Operation in [.identity, .merge(.add), .activation(.relu()), .reshape([4]), .array(.matrixProduct)] {
      #expect(operation.references.isEmpty)
    }
  }

  @Test func rolesTellKernelsFromVectorsAndStatistics() {
    func roles(_ index: Int) -> [WeightRole] { Self.weighted[index].roles.map(\.1) }
    #expect(roles(0) == [.kernel, .vector])
    #expect(roles(1) == [.kernel, .vector])
    #expect(roles(2) == [.vector, .vector, .statistic(isOfBatch: true), .statistic(isOfBatch: true)])
    #expect(roles(4) == [.statistic(isOfBatch: false), .statistic(isOfBatch: false)])
    #expect(roles(7) == [.kernel])
    #expect(roles(8) == [.fixed, .fixed, .fixed])
    #expect(Operation.array(.parameter(Self.reference("p"), shape: [1, 4])).roles.map(\.1) == [.vector])
  }

  @Test func channelEffects() {
    #expect(Self.weighted[2].channelEffect(rank: 4) == .scaled(axis: 3))
    #expect(Self.weighted[6].channelEffect(rank: 4) == .kept)
    #expect(Operation.activation(.linear).channelEffect(rank: 4) == .kept)
    #expect(Operation.activation(.relu()).channelEffect(rank: 4) == .other)
    #expect(Operation.merge(.add).channelEffect(rank: 4) == .added)
    #expect(Operation.array(.elementwise(.add)).channelEffect(rank: 4) == .added)
    #expect(Operation.merge(.subtract).channelEffect(rank: 4) == .other)
  }

  @Test func linearLayersKeepTheirChannelsLast() {
    let linear = Convolution(kernelShape: [4, 3], window: .unit(0))
    let spatial = Convolution(kernelShape: [4, 3, 1, 1], window: .unit(2))
    #expect(linear.channelAxis(.channelsFirst, rank: 3) == 2)
    #expect(spatial.channelAxis(.channelsFirst, rank: 4) == 1)
    #expect(spatial.channelAxis(.channelsLast, rank: 4) == 3)
  }
}

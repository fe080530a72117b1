import Devices
import ModelGraph
import Testing

@Suite struct DeviceTests {
  /// Ten bytes and ten MACs per microsecond; a permutation does not exist.
  static let device = DeviceProfile(
    name: "toy", description: "", source: "", flash: 1000, ram: 100, dtype: .f32, bandwidth: 10e6, overhead: 3e-6,
    operations: [
      .convolution: .init(macsPerSecond: [.f32: 10e6, .f16: 20e6], halfWidth: 4, halfDepth: 18),
      .pointwiseConvolution: .init(macsPerSecond: [.f32: 10e6], overhead: 0),
      .groupedConvolution: .init(macsPerSecond: [.f32: 5e6]),
      .linear: .init(macsPerSecond: [.f32: 10e6]),
      .elementwise: .init(bandwidth: 40e6), .pooling: .init(),
    ])

  @Test func theRooflineIsTheSlowerOfArithmeticAndMemory() {
    // 300 MACs at half of half the speed: 120 us, and 3 beside.
    let work = NodeWork(.convolution, macs: 300, weights: 1, read: 1, written: 1, width: 4, depth: 18)
    #expect(abs(Self.device.seconds(of: work) - 123e-6) <= 1e-12)
    // Twice as fast in f16.
    #expect(abs(Self.device.seconds(of: work, dtype: .f16) - 63e-6) <= 1e-12)
    // A type without a speed of its own is as fast as the device's, and half as wide in memory.
    let wide = NodeWork(.pointwiseConvolution, macs: 10, weights: 100, read: 100, written: 100)
    #expect(abs(Self.device.seconds(of: wide) - 120e-6) <= 1e-12)
    #expect(abs(Self.device.seconds(of: wide, dtype: .bf16) - 60e-6) <= 1e-12)
    #expect(Self.device.seconds(of: NodeWork(.permutation, read: 1, written: 1)) == .infinity)
  }

  @Test func moreOfAnythingTakesNoLess() {
    let base = NodeWork(.convolution, macs: 500, weights: 20, read: 50, written: 40, width: 8, depth: 27)
    let seconds = Self.device.seconds(of: base)
    for change in [\NodeWork.macs, \.weights, \.read, \.written] {
      for factor in [2, 10, 1000] {
        var more = base
        more[keyPath: change] *= factor
        #expect(Self.device.seconds(of: more) >= seconds)
      }
    }
    for change in [\NodeWork.width, \.depth] {
      var wider = base
      wider[keyPath: change] *= 4
      #expect(Self.device.seconds(of: wider) <= seconds)
    }
  }

  @Test(arguments: [
    (Stage.convolution(Convolution(kernelShape: [4, 2, 1, 1], window: .unit(2))), nil),
    (.convolution(Convolution(kernelShape: [4, 2, 3, 3], groups: 2, window: .unit(2))), nil),
    (.convolution(Convolution(kernelShape: [4, 1, 3, 3], groups: 2, window: .unit(2))), "depthwise convolution"),
    (
      .convolution(
        Convolution(kernelShape: [4, 2, 3, 3], window: Window(stride: [1, 1], dilation: [1, 2], padding: .valid))),
      "dilated convolution"
    ),
    // One weight for three blocks of channels is written with a dilation, unless it sees one place at a time.
    (.convolution(Convolution(kernelShape: [4, 2, 3, 3], batch: 3, window: .unit(2))), "dilated convolution"),
    (.convolution(Convolution(kernelShape: [4, 2, 1, 1], batch: 3, window: .unit(2))), nil),
    (.permutation(axes: [2, 3], order: [1, 0]), "permutation"),
    (.bias(channels: 4), nil),
  ])
  func missingOperationsAreNamed(_ stage: Stage, _ missing: String?) {
    #expect(Self.device.missingOperation(in: [.bias(channels: 1), stage]) == missing)
  }
}

@Suite struct LatencyTests {
  private static let same = Window(stride: [1, 1], dilation: [1, 1], padding: .same)
  /// Every kind of operation at speeds that tell them apart.
  private static let device = DeviceProfile(
    name: "toy", description: "", source: "", flash: nil, ram: nil, dtype: .f32, bandwidth: 3e6, overhead: 2e-6,
    operations: Dictionary(
      uniqueKeysWithValues: OperationKind.allCases.enumerated().map { index, kind in
        (
          kind,
          .init(
            macsPerSecond: kind.hasProducts ? [.f32: 1e6 * Double(index + 1)] : [:],
            bandwidth: 1e6 * Double(index + 2), halfWidth: 1, halfDepth: 2)
        )
      }))

  /// A convolution with its bias, normalised and activated; the sum of that with a second use of the layer; a linear layer.
  private func graph(_ layout: ChannelLayout = .channelsFirst) -> ModelGraph {
    let convolution = Operation.convolution(
      Convolution(kernelShape: [6, 6, 3, 3], window: Self.same), layout: layout, kernel: TensorReference("k"),
      bias: TensorReference("b"))
    let statistics = TensorReference("s")
    return ModelGraph(
      inputs: [.init(name: "x", shape: layout == .channelsFirst ? [nil, 6, 8, 8] : [nil, 8, 8, 6])],
      nodes: [
        Node(name: "a", layer: "conv", operation: convolution, inputs: ["x"]),
        Node(
          name: "bn", layer: "bn",
          operation: .batchNormalization(
            axis: layout == .channelsFirst ? 1 : -1, epsilon: 1e-3, gamma: nil, beta: nil, mean: statistics,
            variance: statistics), inputs: ["a"]),
        Node(name: "relu", layer: "relu", operation: .activation(.relu()), inputs: ["bn"]),
        Node(name: "c", layer: "conv", operation: convolution, inputs: ["relu"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["relu", "c"]),
        Node(
          name: "pool", layer: "pool", operation: .globalPooling(.average, layout: layout, keepsAxes: false),
          inputs: ["sum"]),
        Node(
          name: "fc", layer: "fc",
          operation: .convolution(
            Convolution(kernelShape: [3, 6], window: .unit(0)), layout: layout, kernel: TensorReference("f"),
            bias: nil), inputs: ["pool"]),
      ], outputs: [.init(name: "y", value: "fc")])
  }

  private static let replacements: [[Stage]] = [
    [
      .convolution(Convolution(kernelShape: [2, 6, 1, 1], window: .unit(2))),
      .convolution(Convolution(kernelShape: [2, 1, 3, 3], groups: 2, window: same)),
      .convolution(Convolution(kernelShape: [6, 2, 1, 1], window: .unit(2))), .bias(channels: 6),
    ],
    // What follows cannot run as the end of a permutation, or of a weight that is shared over blocks of channels.
    [
      .convolution(Convolution(kernelShape: [2, 2, 3, 3], batch: 3, window: same)),
      .permutation(axes: [3, 2], order: [1, 0]), .bias(channels: 6),
    ],
    [
      .permutation(axes: [3, 2], order: [1, 0]),
      .convolution(Convolution(kernelShape: [3, 3, 3, 3], batch: 2, window: same)), .bias(channels: 6),
    ],
    [.convolution(Convolution(kernelShape: [6, 3, 3, 3], groups: 2, window: same)), .bias(channels: 6)],
  ]

  /// The time of a plan is that of the network, less the dense layer's, plus that of its stages.
  @Test(arguments: 0..<replacements.count, [ChannelLayout.channelsFirst, .channelsLast])
  func timesAddUpOverLayers(_ index: Int, _ layout: ChannelLayout) throws {
    let stages = Self.replacements[index]
    let latency = try #require(try Latency(of: graph(layout), on: Self.device))
    let replaced = graph(layout).replacing(
      layer: "conv", with: stages, factors: stages.convolutions.map { _ in TensorReference("w") },
      bias: TensorReference("b"))
    let whole = try #require(try Latency(of: replaced, on: Self.device)).total
    let sum = latency.total - latency.dense("conv") + latency.seconds(of: "conv", stages)
    #expect(abs(sum - whole) <= 1e-12 * whole, "\(sum) and \(whole)")
  }

  @Test func theDenseLayerIsItsOwnStages() throws {
    let latency = try #require(try Latency(of: graph(), on: Self.device))
    let dense: [Stage] = [
      .convolution(Convolution(kernelShape: [6, 6, 3, 3], window: Self.same)), .bias(channels: 6),
    ]
    #expect(latency.seconds(of: "conv", dense) == latency.dense("conv"))
    #expect(latency.dense("no such layer") == 0)
  }

  @Test func whatRunsAsTheEndOfAnotherTakesNoTime() throws {
    let graph = graph()
    let shapes = try graph.shapes(batch: 1)
    // The relu of the first use is read twice and still made in one pass with its convolution.
    #expect(graph.fusedNodes(shapes: shapes) == ["bn", "relu"])
    let work = try #require(graph.work(shapes: shapes))
    #expect(work.map(\.count) == [1, 0, 0, 1, 1, 1, 1])
    let sum = work.joined().reduce(0) { $0 + Self.device.seconds(of: $1) }
    #expect(try Latency(of: graph, on: Self.device)?.total == sum)
  }

  @Test func openExtentsHaveNoTime() throws {
    let open = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 6, nil, 8])], nodes: Array(graph().nodes.prefix(1)),
      outputs: [.init(name: "y", value: "a")])
    #expect(try Latency(of: open, on: Self.device) == nil)
  }

  @Test func anOperationThatTheDeviceLacksIsNamed() throws {
    var operations = Self.device.operations
    operations[.pooling] = nil
    let device = DeviceProfile(
      name: "toy", description: "", source: "", flash: nil, ram: nil, dtype: .f32, bandwidth: 1, overhead: 0,
      operations: operations)
    #expect {
      try Latency(of: graph(), on: device)
    } throws: { error in
      "\(error)".contains("'pool'") && "\(error)".contains("'pooling'")
    }
  }
}

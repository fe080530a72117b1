import Basics
import Foundation
import Inference
import LinearAlgebra
import ModelGraph
import TensorCore
import Testing

struct ResNetBuilder {
  var nodes: [Node] = []
  var tensors: [String: Tensor<Float>] = [:]
  var rng = SplitMix64(seed: 3)
  var layout: ChannelLayout = .channelsLast
  mutating func param(_ name: String, _ shape: [Int]) -> TensorReference {
    tensors[name] = Tensor(gaussian: shape, using: &rng).map { abs($0) * 0.1 + 0.01 }
    return TensorReference(name)
  }
  mutating func conv(_ name: String, _ input: String, _ i: Int, _ o: Int, k: Int, s: Int) -> String {
    let c = Convolution(kernelShape: [o, i, k, k], window: Window(stride: [s, s], dilation: [1, 1], padding: .same))
    nodes.append(Node(name: name, layer: name, operation: .convolution(c, layout: layout, kernel: param(name + "/k", [o, i, k, k]), bias: param(name + "/b", [o])), inputs: [input]))
    return name
  }
  mutating func bn(_ name: String, _ input: String, _ c: Int) -> String {
    nodes.append(Node(name: name, layer: name, operation: .batchNormalization(axis: layout == .channelsLast ? 3 : 1, epsilon: 1e-3, gamma: param(name + "/g", [c]), beta: param(name + "/be", [c]), mean: param(name + "/m", [c]), variance: param(name + "/v", [c])), inputs: [input]))
    return name
  }
  mutating func relu(_ name: String, _ input: String) -> String {
    nodes.append(Node(name: name, layer: name, operation: .activation(.relu()), inputs: [input]))
    return name
  }
  mutating func block(_ n: String, _ x: String, _ i: Int, _ o: Int, _ s: Int) -> String {
    var y = conv(n + "c1", x, i, o, k: 3, s: s); y = bn(n + "b1", y, o); y = relu(n + "r1", y)
    y = conv(n + "c2", y, o, o, k: 3, s: 1); y = bn(n + "b2", y, o)
    let sc = s == 1 ? x : conv(n + "s", x, i, o, k: 1, s: s)
    nodes.append(Node(name: n + "a", layer: n + "a", operation: .merge(.add), inputs: [sc, y]))
    return relu(n + "r2", n + "a")
  }
}

@Test func bench() throws {
  BLAS.setThreads(1)
  print("core", BLAS.coreName)
  for layout in [ChannelLayout.channelsLast, .channelsFirst] {
    var b = ResNetBuilder(); b.layout = layout
    var y = b.conv("c0", "x", 3, 16, k: 3, s: 1); y = b.bn("b0", y, 16); y = b.relu("r0", y)
    y = b.block("1", y, 16, 16, 1); y = b.block("2", y, 16, 32, 2); y = b.block("3", y, 32, 64, 2)
    b.nodes.append(Node(name: "gp", layer: "gp", operation: .globalPooling(.average, layout: layout, keepsAxes: false), inputs: [y]))
    let c = Convolution(kernelShape: [10, 64], window: .unit(0))
    b.nodes.append(Node(name: "fc", layer: "fc", operation: .convolution(c, layout: .channelsLast, kernel: b.param("fk", [10, 64]), bias: b.param("fb", [10])), inputs: ["gp"]))
    b.nodes.append(Node(name: "sm", layer: "sm", operation: .activation(.softmax(axis: -1)), inputs: ["fc"]))
    let shape: [Int?] = layout == .channelsLast ? [nil, 32, 32, 3] : [nil, 3, 32, 32]
    let graph = ModelGraph(inputs: [.init(name: "x", shape: shape)], nodes: b.nodes, outputs: [.init(name: "sm", value: "sm")])
    print("MACs", try graph.macs() ?? -1, "peak", try graph.peakActivationCount() ?? -1)
    let engine = try Engine(graph) { b.tensors[$0.name]! }
    var rng = SplitMix64(seed: 1)
    for batch in [8, 32] {
      let x = Tensor<Float>(gaussian: [batch] + shape.dropFirst().map { $0! }, using: &rng)
      _ = try engine.run(["x": x])
      var best = Double.infinity
      let begin = Date(); while -begin.timeIntervalSinceNow < 2 {
        var a = timespec(), z = timespec(); clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a); _ = try engine.run(["x": x]); clock_gettime(CLOCK_THREAD_CPUTIME_ID, &z); best = min(best, Double(z.tv_sec - a.tv_sec) + Double(z.tv_nsec - a.tv_nsec) * 1e-9)
      }
      print(layout, "batch", batch, "us/image", best * 1e6 / Double(batch))
    }
    if ProcessInfo.processInfo.environment["LONG"] != nil {
      let x = Tensor<Float>(gaussian: [32] + shape.dropFirst().map { $0! }, using: &rng)
      let t = Date(); while -t.timeIntervalSinceNow < 8 { _ = try engine.run(["x": x]) }
    }
  }
}

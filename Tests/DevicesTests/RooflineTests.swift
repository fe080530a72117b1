import Basics
import Devices
import ModelGraph
import Testing

@Suite struct RooflineTests {
  /// Times that follow the model exactly, but for one in ten that something disturbed.
  private func times(of device: DeviceProfile, seed: UInt64) -> [OperationTime] {
    var generator = SplitMix64(seed: seed)
    func pick(_ range: ClosedRange<Int>) -> Int {
      range.lowerBound + Int(generator.nextUniform() * Double(range.count)) % range.count
    }
    return [OperationKind.convolution, .depthwiseConvolution, .elementwise].flatMap { kind in
      (0..<120).map { index in
        let (width, depth, positions) = (1 << pick(0...7), 1 << pick(0...9), 1 << pick(4...12))
        let work =
          kind.hasProducts
          ? NodeWork(
            kind, macs: width * depth * positions, weights: width * depth, read: depth * positions,
            written: width * positions, width: width, depth: depth)
          : NodeWork(kind, read: width * positions, written: width * positions)
        return OperationTime(work, seconds: device.seconds(of: work) * (index % 10 == 0 ? 3 : 1))
      }
    }
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func findsTheDeviceThatTimesComeFrom(_ seed: UInt64) throws {
    let device = DeviceProfile(
      name: "toy", description: "", source: "", flash: nil, ram: nil, dtype: .f32, bandwidth: 4e9, overhead: 2e-6,
      operations: [
        .convolution: .init(macsPerSecond: [.f32: 2e10], halfWidth: 6, halfDepth: 20),
        .depthwiseConvolution: .init(macsPerSecond: [.f32: 2e9], overhead: 8e-6), .elementwise: .init(bandwidth: 1e9),
      ])
    let fitted = DeviceProfile(
      name: "fitted", description: "", source: "", flash: nil, ram: nil, dtype: .f32,
      fitting: times(of: device, seed: seed))
    let fresh = times(of: device, seed: seed + 100).enumerated().filter { $0.offset % 10 != 0 }.map(\.element)
    let off = fresh.reduce(0) { $0 + abs(fitted.seconds(of: $1.work) - $1.seconds) }
    let whole = fresh.reduce(0) { $0 + $1.seconds }
    // The search for the least error ends at steps of a few per cent.
    #expect(off <= 0.05 * whole, "\(off / whole)")
    // Kinds that were not timed are there all the same.
    #expect(fitted.operations.count == OperationKind.allCases.count)
    let linear = NodeWork(.linear, macs: 1000, weights: 1000, read: 100, written: 10, width: 10, depth: 100)
    #expect(fitted.seconds(of: linear) > 0 && fitted.seconds(of: linear) < 1)
  }

  /// Operations that took a millisecond each, whatever they did, on a machine that something else kept busy.
  @Test(arguments: 0..<5 as Range<UInt64>)
  func timesThatTellNothingGiveFiguresNearWhatWasSeen(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let times = (0..<60).map { index in
      OperationTime(
        NodeWork(
          index % 2 == 0 ? .convolution : .elementwise, macs: index % 2 == 0 ? 1000 + index : 0, weights: 10,
          read: 1000,
          written: 1000, width: 8, depth: 8),
        seconds: 1e-3 * (1 + 0.1 * generator.nextUniform()))
    }
    let fitted = DeviceProfile(
      name: "fitted", description: "", source: "", flash: nil, ram: nil, dtype: .f32, fitting: times)
    for speed in fitted.operations.values {
      // 4 * 2010 bytes and 1059 products in a millisecond at most.
      #expect(try #require(speed.bandwidth) <= 16.01 * 8.04e6)
      #expect(speed.macsPerSecond.values.allSatisfy { $0 <= 16.01 * 1.06e6 })
    }
    for time in times { #expect(abs(fitted.seconds(of: time.work) - time.seconds) <= 0.2 * time.seconds) }
  }
}

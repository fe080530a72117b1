import Basics
import Checkpoints
import Formats
import Planning

/// What the user asks `bench` for.
package struct BenchRequest: Sendable {
  package var checkpoint: String
  /// Samples that run together where all threads are timed.
  package var batch: Int
  /// Of a batch, and in each round of one sample; at least 1.
  package var repetitions: Int
  /// Of one sample, where the model leaves extents open.
  package var sampleShape: [Int]
  /// Whether to time factored forms of the network too and to fit a profile of this machine.
  package var fitsProfile: Bool

  package init(
    checkpoint: String, batch: Int = 64, repetitions: Int = 20, sampleShape: [Int] = [], fitsProfile: Bool = true
  ) {
    self.checkpoint = checkpoint
    self.batch = batch
    self.repetitions = repetitions
    self.sampleShape = sampleShape
    self.fitsProfile = fitsProfile
  }
}

/// What `bench` measured of a network and this machine.
package struct Bench: Sendable {
  /// A batch on all threads.
  package let timing: Timing
  /// The network as it is, then its factored forms where they were timed: one sample on one thread each.
  package let networks: [NetworkTiming]
  /// Of this machine, from the times of all networks; nil where none was asked for.
  package let profile: DeviceProfile?

  /// Networks take turns this often.
  private static let rounds = 5

  /// - Throws: `Failure` where the network cannot be run.
  package init(_ request: BenchRequest, workers: Workers, progress: Progress = .silent) throws {
    timing = try Timing(
      checkpoint: request.checkpoint, batch: request.batch, repetitions: request.repetitions,
      sampleShape: request.sampleShape, workers: workers)
    let checkpoint = try Checkpoint.open(request.checkpoint)
    var timers = [try NetworkTimer("dense", checkpoint, sampleShape: request.sampleShape)]
    if request.fitsProfile {
      let factored = try FactoredNetworks(of: checkpoint, workers: workers, progress: progress)
      timers += try factored.variants.map {
        try NetworkTimer($0.name, factored.checkpoint(of: $0), sampleShape: request.sampleShape)
      }
    }
    for round in 0..<Self.rounds {
      for index in timers.indices {
        try timers[index].run(repetitions: request.repetitions)
        progress("time", round * timers.count + index + 1, of: Self.rounds * timers.count, "")
      }
    }
    networks = timers.map(\.timing)
    profile = request.fitsProfile ? DeviceProfile(host: networks) : nil
  }

  /// - Parameters:
  ///   - device: one whose prediction is to be compared; nil for the fitted one.
  ///   - profilePath: where the fitted profile is kept.
  package func json(comparing device: DeviceProfile?, profilePath: String?) -> JSON {
    var object = timing.json.object ?? [:]
    object["latency"] = .real(networks[0].latency)
    object["predicted"] = .optional((device ?? profile).map(networks[0].predicted)) { .real($0) }
    object["profile"] = .optional(profilePath, JSON.string)
    object["networks"] = .array(networks.map { $0.json(comparing: device ?? profile) })
    return .object(object)
  }
}

extension NetworkTiming {
  fileprivate func json(comparing device: DeviceProfile?) -> JSON {
    [
      "name": .string(name), "macs": .integer(macs), "latency": .real(latency),
      "predicted": .optional(device.map(predicted)) { .real($0) }, "seconds": .array(seconds.map { .real($0) }),
      "operations": .array(
        nodes.map { node in
          [
            "layer": .string(node.layer), "operation": .string(node.work[0].kind.rawValue),
            "macs": .integer(node.macs), "weights": .integer(node.work[0].weights), "read": .integer(node.work[0].read),
            "written": .integer(node.work[0].written), "width": .integer(node.work[0].width),
            "depth": .integer(node.work[0].depth), "seconds": .real(node.seconds),
            "predicted": .optional(device.map(node.predicted)) { .real($0) },
          ]
        }),
    ]
  }
}

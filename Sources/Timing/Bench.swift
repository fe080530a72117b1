import Basics
import Devices
import Formats
import Plans
import Running

/// What the user asks `bench` for.
package struct BenchRequest: Job {
  package var checkpoint: String
  /// Samples that run together where all threads are timed.
  package var batch: Int
  /// How often a batch runs, and how often one sample runs in each round; at least 1.
  package var repetitions: Int
  /// The shape of one sample, where the model leaves extents open.
  package var sampleShape: [Int]
  /// Where the profile of this machine goes that is fitted to the network and its factored forms; nil fits none.
  package var profilePath: String?
  /// The device whose prediction is compared with what was measured; nil compares with the fitted one.
  package var comparedDevice: DeviceProfile?

  package init(
    checkpoint: String, batch: Int = 64, repetitions: Int = 20, sampleShape: [Int] = [],
    profilePath: String? = nil, comparedDevice: DeviceProfile? = nil
  ) {
    self.checkpoint = checkpoint
    self.batch = batch
    self.repetitions = repetitions
    self.sampleShape = sampleShape
    self.profilePath = profilePath
    self.comparedDevice = comparedDevice
  }

  /// Networks take turns this often.
  private static let rounds = 5

  /// Times the network, and its factored forms where a profile is wanted, and writes the profile.
  ///
  /// - Throws: `Failure` where the network cannot be run, or the profile cannot be written.
  package func run(workers: Workers, progress: ProgressHandler) throws -> Bench {
    if let profilePath {
      try OutputSet([.init(profilePath, option: "-o")])
        .check(inputs: [(checkpoint, "the checkpoint")], overwrite: true)
      try DeviceProfile.checkReplaceable(profilePath)
    }
    let checkpoint = try CheckpointSource(path: checkpoint).open()
    let timing = try BatchTiming.measured(
      checkpoint, batch: batch, repetitions: repetitions, sampleShape: sampleShape, workers: workers)
    var timers = [try NetworkTimer(LayerForm.denseName, checkpoint, sampleShape: sampleShape)]
    if profilePath != nil {
      let factored = try FactoredNetworks.sampled(of: checkpoint, workers: workers, progress: progress)
      timers += try factored.variants.map {
        try NetworkTimer($0.name, factored.checkpoint(of: $0), sampleShape: sampleShape)
      }
    }
    for round in 0..<Self.rounds {
      for index in timers.indices {
        try timers[index].run(repetitions: repetitions)
        progress("time", round * timers.count + index + 1, of: Self.rounds * timers.count, "")
      }
    }
    let networks = timers.map(\.timing)
    let profile = profilePath == nil ? nil : DeviceProfile(host: networks)
    if let profilePath, let profile {
      try OutputFile.write((profile.json.text(.indented) + "\n").utf8, to: profilePath, overwrite: true)
    }
    return Bench(
      timing: timing, networks: networks, profile: profile, profilePath: profilePath, device: comparedDevice ?? profile)
  }
}

/// What `bench` measured of a network and this machine.
package struct Bench: Sendable {
  /// A batch on all threads.
  package let timing: BatchTiming
  /// The network as it is, then its factored forms where they were timed: one sample on one thread each.
  package let networks: [NetworkTiming]
  /// The profile of this machine, from the times of all networks; nil where none was asked for.
  package let profile: DeviceProfile?
  /// Where the profile was written.
  package let profilePath: String?
  /// The device whose prediction is compared with the times; nil where there is none.
  package let device: DeviceProfile?

  package var json: JSON {
    var object = timing.json.object ?? [:]
    object["latency"] = .real(networks[0].latency)
    object["predicted"] = .optional(device.map(networks[0].predicted)) { .real($0) }
    object["profile"] = .optional(profilePath, JSON.string)
    object["networks"] = .array(networks.map { $0.json(comparing: device) })
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

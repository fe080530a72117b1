import Basics
import Checkpoints
import Running

/// How long batches of a network take on this machine.
package struct BatchTiming: Sendable {
  package let checkpoint: String
  package let batch: Int
  package let threads: Int
  /// The seconds that every repetition took for one batch.
  package let seconds: [Double]

  /// The median over the repetitions, in seconds.
  package var median: Double { seconds.sorted()[seconds.count / 2] }
  package var samplesPerSecond: Double { Double(batch) / median }

  package var json: JSON {
    [
      "checkpoint": .string(checkpoint), "batch": .integer(batch), "threads": .integer(threads),
      "seconds": .array(seconds.map { .real($0) }), "median": .real(median),
      "samples_per_second": .real(samplesPerSecond),
    ]
  }

  /// Runs seeded random batches, the first of them without counting it.
  ///
  /// - Parameter sampleShape: of one sample, where the model leaves extents open.
  /// - Throws: `Failure` where the network cannot be run.
  static func measured(
    _ checkpoint: Checkpoint, batch: Int, repetitions: Int, sampleShape: [Int], workers: Workers
  ) throws -> BatchTiming {
    let network = try Network(checkpoint, workers: workers)
    let samples = try Samples(seed: 0, count: batch, for: network.graph, sampleShape: sampleShape)
    let clock = ContinuousClock()
    var seconds: [Double] = []
    for repetition in 0...repetitions {
      let elapsed = try clock.measure {
        _ = try network.run(samples, progress: .silent, task: "time")
      }
      if repetition > 0 { seconds.append(elapsed.inSeconds) }
    }
    return BatchTiming(checkpoint: checkpoint.path, batch: batch, threads: workers.count, seconds: seconds)
  }
}

import Basics
import Checkpoints
import Formats
import ModelGraph

/// How long a network takes on this machine.
package struct Timing: Sendable {
  package let checkpoint: String
  package let batch: Int
  package let threads: Int
  /// Seconds for one batch, of every repetition.
  package let seconds: [Double]

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
  package init(checkpoint path: String, batch: Int, repetitions: Int, sampleShape: [Int] = [], workers: Workers) throws
  {
    let network = try Network(try Checkpoint.open(path), workers: workers)
    let samples = try Samples(seed: 0, count: batch, for: network.graph, sampleShape: sampleShape)
    let clock = ContinuousClock()
    var seconds: [Double] = []
    for repetition in 0...repetitions {
      let elapsed = try clock.measure {
        _ = try network.run(samples.inputs, progress: .silent, task: "time")
      }
      if repetition > 0 { seconds.append(elapsed.inSeconds) }
    }
    checkpoint = path
    self.batch = batch
    threads = workers.count
    self.seconds = seconds
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

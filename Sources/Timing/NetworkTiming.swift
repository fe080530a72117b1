import Devices
import ModelGraph

/// How long a network took on this machine, one sample on one thread, and each of its operations in its place: between its neighbours, with caches
/// as these leave them.
package struct NetworkTiming: Sendable {
  /// The structure in it, `dense` for the network itself.
  package let name: String
  /// The time of every run but the first of each round, which loads what the others find in caches.
  package let seconds: [Double]
  let nodes: [NodeTiming]

  /// The least of all runs: what else the machine does only adds to it.
  package var latency: Double { seconds.min() ?? .nan }
  package var macs: Int { nodes.reduce(0) { $0 + $1.macs } }

  /// Seconds that a device needs for it; infinite where the runtime does not have one of its operations.
  package func predicted(on device: DeviceProfile) -> Double { nodes.reduce(0) { $0 + $1.predicted(on: device) } }
}

/// How long one node took: the least of all runs.
struct NodeTiming: Sendable {
  let layer: String
  /// Never empty; more than one where something runs behind that the node could not take in.
  let work: [NodeWork]
  let seconds: Double

  var macs: Int { work.reduce(0) { $0 + $1.macs } }
  func predicted(on device: DeviceProfile) -> Double { work.reduce(0) { $0 + device.seconds(of: $1) } }
}

import Devices
import Foundation

extension DeviceProfile {
  /// The machine that the program runs on, fitted to what the operations of networks took.
  ///
  /// - Parameter networks: at least one, timed here.
  init(host networks: [NetworkTiming]) {
    // Where one measured time covers two operations, it says nothing about either.
    let times = networks.flatMap(\.nodes).compactMap { node in
      node.work.count == 1 && node.seconds > 0 ? OperationTime(node.work[0], seconds: node.seconds) : nil
    }
    self.init(
      name: Self.hostName,
      description: "this machine: the program's own engine, one sample on one thread",
      source: "\(times.count) operations timed by kcompress bench", flash: nil,
      ram: Int(clamping: ProcessInfo.processInfo.physicalMemory), dtype: .f32, fitting: times)
  }
}

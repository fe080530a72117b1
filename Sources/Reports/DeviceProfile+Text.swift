import Basics
import Devices
import Foundation

extension DeviceProfile {
  /// What the device holds, and a table of its operations.
  package var text: String {
    var table = TextTable([
      ("operation", .left), ("MACs per second", .right), ("bytes per second", .right), ("seconds beside", .right),
      ("half width", .right), ("half depth", .right),
    ])
    for (kind, speed) in operations.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      let speeds = speed.macsPerSecond.sorted { $0.key.rawValue < $1.key.rawValue }
        .map { "\(Format.count(Int($0.value))) \($0.key.optionName)" }
      table.add([
        kind.words, speeds.joined(separator: ", "), Format.count(Int(speed.bandwidth ?? bandwidth)),
        Format.number(speed.overhead ?? overhead), kind.hasProducts ? Format.number(speed.halfWidth) : "",
        kind.hasProducts ? Format.number(speed.halfDepth) : "",
      ])
    }
    return """
      \(name): \(description)
      flash \(Self.size(flash)), RAM \(Self.size(ram)), weights and activations in \(dtype.optionName)
      source: \(source)

      \(table.text)
      """
  }

  fileprivate static func size(_ bytes: Int?) -> String { bytes.map(Format.bytes) ?? "without limit" }
}

extension [DeviceProfile] {
  /// One row for each device.
  package var table: String {
    var table = TextTable([
      ("device", .left), ("flash", .right), ("RAM", .right), ("type", .left), ("MACs per second", .right), ("", .left),
    ])
    for device in self {
      let speed = device.operations[.convolution]?.macsPerSecond[device.dtype]
      table.add([
        device.name, DeviceProfile.size(device.flash), DeviceProfile.size(device.ram),
        device.dtype.optionName, speed.map { Format.count(Int($0)) } ?? "", device.description,
      ])
    }
    return table.text
  }
}

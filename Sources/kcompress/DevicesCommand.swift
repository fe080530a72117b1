import ArgumentParser
import Basics
import Foundation
import Pipeline
import Planning

struct DevicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "List the devices that plans can be made for, or show one.",
    discussion: """
      A profile says what a device holds and how fast it computes; docs/devices.md tells where the figures of those that \
      come with the program are from. kcompress devices NAME --json prints one in the form of its file, to be changed and given to \
      --device; kcompress bench measures that of this machine.
      """)

  @Argument(help: "A device's name, or a profile file; all of them unless given.")
  var device: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    if let device {
      let profile = try DeviceProfile.named(device)
      return common.terminal.result(profile.json, profile.text)
    }
    let host = DeviceProfile.hostPath.flatMap { try? DeviceProfile(path: $0) }
    let profiles = try DeviceProfile.builtIn() + [host].compactMap(\.self)
    if host == nil {
      common.terminal.notice("kcompress bench CHECKPOINT measures this machine as '\(DeviceProfile.hostName)'")
    }
    common.terminal.result(.array(profiles.map(\.json)), profiles.table)
  }
}

extension DeviceProfile {
  /// What the device holds, and a table of its operations.
  fileprivate var text: String {
    var table = TextTable([
      ("operation", .left), ("MACs per second", .right), ("bytes per second", .right), ("seconds beside", .right),
      ("half width", .right), ("half depth", .right),
    ])
    for (kind, speed) in operations.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      let speeds = speed.macsPerSecond.sorted { $0.key.rawValue < $1.key.rawValue }
        .map { "\(Format.count(Int($0.value))) \($0.key.rawValue.lowercased())" }
      table.add([
        kind.words, speeds.joined(separator: ", "), Format.count(Int(speed.bandwidth ?? bandwidth)),
        Format.number(speed.overhead ?? overhead), kind.hasProducts ? Format.number(speed.halfWidth) : "",
        kind.hasProducts ? Format.number(speed.halfDepth) : "",
      ])
    }
    return """
      \(name): \(description)
      flash \(Self.size(flash)), RAM \(Self.size(ram)), weights and activations in \(dtype.rawValue.lowercased())
      source: \(source)

      \(table.text)
      """
  }

  fileprivate static func size(_ bytes: Int?) -> String { bytes.map(Format.bytes) ?? "without limit" }
}

extension [DeviceProfile] {
  fileprivate var table: String {
    var table = TextTable([
      ("device", .left), ("flash", .right), ("RAM", .right), ("type", .left), ("MACs per second", .right), ("", .left),
    ])
    for device in self {
      let speed = device.operations[.convolution]?.macsPerSecond[device.dtype]
      table.add([
        device.name, DeviceProfile.size(device.flash), DeviceProfile.size(device.ram),
        device.dtype.rawValue.lowercased(), speed.map { Format.count(Int($0)) } ?? "", device.description,
      ])
    }
    return table.text
  }
}

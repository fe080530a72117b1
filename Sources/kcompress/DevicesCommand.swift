import ArgumentParser
import Devices
import Foundation

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
      return try common.show(profile.json, profile.text)
    }
    let profiles = try DeviceProfile.builtIn() + host()
    try common.show(.array(profiles.map(\.json)), profiles.table)
  }

  /// The profile of this machine where there is one; a notice says why there is none.
  private func host() -> [DeviceProfile] {
    do {
      if let host = try DeviceProfile.host() { return [host] }
      common.terminal.notice("kcompress bench CHECKPOINT measures this machine as '\(DeviceProfile.hostName)'")
    } catch {
      common.terminal.notice("\(error); kcompress bench CHECKPOINT measures this machine anew")
    }
    return []
  }
}

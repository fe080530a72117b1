import Basics
import Foundation

extension DeviceProfile {
  /// The profiles that come with the program, in the order in which they are listed.
  ///
  /// - Throws: `Failure` where one of them is malformed, which a test excludes.
  package static func builtIn() throws -> [DeviceProfile] {
    try [
      PackageResources.stm32h743_json, PackageResources.stm32f746_json, PackageResources.stm32l4r5_json,
      PackageResources.esp32s3_json, PackageResources.rp2040_json, PackageResources.nrf52840_json,
      PackageResources.k210_json, PackageResources.raspberrypi4_json, PackageResources.raspberrypi5_json,
    ].map { try DeviceProfile(json: JSON(parsing: $0)) }
  }

  /// The name of the machine that the program runs on.
  package static let hostName = "host"

  /// Where `bench` keeps the profile of this machine; nil without a home folder.
  package static var hostPath: String? { CacheFolder.standard.map { $0 + "/\(hostName).device.json" } }

  /// The profile of the machine that the program runs on; nil before `bench` has measured it.
  ///
  /// - Throws: as `init(path:)` where there is a file that is no profile.
  package static func host() throws -> DeviceProfile? {
    guard let path = hostPath, FileKind(path) != nil else { return nil }
    return try DeviceProfile(path: path)
  }

  /// The path at which `bench` may write the profile of this machine.
  ///
  /// - Throws: `Failure` where there is no folder for it.
  package static func preparedHostPath() throws -> String {
    guard let folder = CacheFolder.standard, let path = hostPath else {
      throw Failure(
        "the profile of this machine", "cannot be written", "there is no home folder", remedy: "choose a path with -o")
    }
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw Failure(
        folder, "cannot be created", (error as NSError).localizedDescription, remedy: "choose a path with -o")
    }
    return path
  }

  /// A profile of the machine that the program runs on may take the place of an older one, and of nothing else.
  ///
  /// - Throws: `Failure` where the path leads to a file that is no profile, or the profile of another device.
  package static func checkReplaceable(_ path: String) throws {
    let old = try OutputFile.checkReplaceable(path, as: "device profile", schema: "kcompress.device/")
    guard let name = old?["name"]?.string, name != hostName else { return }
    throw Failure(
      path, "is not overwritten", "it is the profile of another device, '\(name)'",
      remedy: "choose another path with -o")
  }

  /// The profile that a user means: a built-in one, `host`, or a file.
  ///
  /// - Throws: `Failure` for a name that no device has, with those that there are; for `host` before `bench` has measured it; as
  ///   `init(path:)` for a file.
  package static func named(_ text: String) throws -> DeviceProfile {
    let devices = try builtIn()
    if let device = devices.first(where: { $0.name == text.lowercased() }) { return device }
    if text == hostName {
      guard let host = try host() else {
        throw Failure(
          "device 'host'", "is not known", "nothing has been measured on this machine yet",
          remedy: "run kcompress bench CHECKPOINT first")
      }
      return host
    }
    guard text.contains("/") || text.hasSuffix(".json") || FileManager.default.fileExists(atPath: text) else {
      throw Failure(
        "device '\(text)'", "is not known", "there is neither a device nor a file of this name",
        remedy: "expected a file, or one of \((devices.map(\.name) + [hostName]).joined(separator: ", "))")
    }
    return try DeviceProfile(path: text)
  }
}

import Foundation
import TestSupport
import Testing

@Suite struct DevicesCommandTests {
  @Test func listsAndShows() throws {
    try Workshop.with([]) { workshop in
      let list = try workshop.run("devices", "--json", "--quiet")
      #expect(list.status == 0 && list.errors.isEmpty)
      let names = try #require(list.json?.array).compactMap { $0["name"]?.string }
      #expect(names.count >= 9 && Set(names).isSuperset(of: ["stm32l4r5", "k210", "raspberrypi5"]))
      let text = try workshop.run("devices").output
      for name in names { #expect(text.contains(name)) }

      let one = try workshop.run("devices", "rp2040", "--json")
      try workshop.write(one.output, to: "mine.json")
      #expect(try workshop.run("devices", "mine.json", "--json").output == one.output)
      #expect(try workshop.run("devices", "rp2040").output.contains("depthwise convolution"))
    }
  }

  @Test func whatIsNoDevice() throws {
    try Workshop.with([]) { workshop in
      try workshop.expectFailure(["devices", "stm32"], status: 2, "device 'stm32': is not known")
      try workshop.expectFailure(["devices", "none.json"], status: 2, "none.json: cannot be read: no such file")
      try workshop.write("{", to: "bad.json")
      try workshop.expectFailure(["devices", "bad.json"], status: 2, "bad.json: ")
      try workshop.write(#"{"schema": "kcompress.device/1"}"#, to: "empty.json")
      try workshop.expectFailure(
        ["devices", "empty.json"], status: 2, "empty.json: the device profile: has no key 'dtype'")
    }
  }

  /// A profile of this machine that cannot be read is not the same as none.
  @Test func damagedProfilesOfThisMachineAreNamed() throws {
    try Workshop.with([]) { workshop in
      let folder = workshop.path("cache/kcompress")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      func list() throws -> Program.Outcome {
        try Program.run(
          ["devices", "--json"], in: workshop.folder, environment: ["XDG_CACHE_HOME": workshop.path("cache")])
      }
      #expect(try list().errors.contains("bench CHECKPOINT measures this machine as 'host'"))
      try workshop.write("{", to: "cache/kcompress/host.device.json")
      let damaged = try list()
      #expect(damaged.status == 0 && damaged.json?.array?.count ?? 0 >= 9)
      #expect(damaged.errors.contains("host.device.json: ") && damaged.errors.contains("anew"), "\(damaged.errors)")
    }
  }

  @Test func benchMeasuresAProfile() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let bench = try workshop.run(
        "bench", "digits.h5", "--repetitions", "3", "--batch", "4", "-o", "host.json", "--json")
      #expect(bench.status == 0, "\(bench.errors)")
      let result = try #require(bench.json)
      #expect(result["profile"] == "host.json")
      let networks = try #require(result["networks"]?.array)
      #expect(networks.first?["name"] == "dense")
      let names = networks.compactMap { $0["name"]?.string }
      #expect(Set(names).isSuperset(of: ["svd 1/2", "cp 1/6", "gkpd 1/2"]))
      for network in networks {
        #expect(try #require(network["latency"]?.real) > 0)
        #expect(try #require(network["predicted"]?.real) > 0)
        #expect(try #require(network["operations"]?.array).count > 3)
      }
      #expect(try workshop.run("devices", "host.json").output.contains("host: this machine"))

      // A profile may take the place of a profile, and of nothing else.
      #expect(try workshop.run("bench", "digits.h5", "--repetitions", "1", "-o", "host.json").status == 0)
      try workshop.write("{}", to: "mine.json")
      try workshop.expectFailure(
        ["bench", "digits.h5", "-o", "mine.json"], status: 2,
        "mine.json: is not overwritten: it exists already and is no device profile")
      try workshop.write(workshop.run("devices", "rp2040", "--json").output, to: "board.json")
      try workshop.expectFailure(
        ["bench", "digits.h5", "-o", "board.json"], status: 2,
        "board.json: is not overwritten: it is the profile of another device, 'rp2040'")
      try workshop.expectFailure(["bench", "digits.h5", "-o", "digits.h5"], status: 2, "it is the checkpoint")

      let compared = try workshop.run(
        "bench", "digits.h5", "--repetitions", "1", "--batch", "1", "--no-profile", "--device", "host.json", "--json")
      #expect(compared.json?["networks"]?.array?.count == 1)
      #expect(try #require(compared.json?["predicted"]?.real) > 0)
      #expect(compared.json?["profile"]?.isNull == true)
    }
  }
}

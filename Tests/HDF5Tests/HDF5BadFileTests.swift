import Basics
import Foundation
import TestSupport
import Testing

@testable import HDF5

@Suite struct HDF5BadFileTests {
  private func file(_ folder: String) throws -> (path: String, bytes: [UInt8]) {
    var group = HDF5Group(attributes: [
      "names": .strings(["layer"]), "text": .string(String(repeating: "config", count: 20_000)),
    ])
    for index in 0..<10 {
      group.insert(
        HDF5Dataset(shape: [8], type: .float(bits: 32), bytes: [UInt8](repeating: UInt8(index), count: 32)),
        at: "layer_\(index)/kernel")
    }
    let path = folder + "/f.h5"
    try HDF5File.write(group, to: path)
    return (path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
  }

  @Test func refusesTextAndNothing() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/f.h5"
      for content in ["", "not an HDF5 file", String(repeating: "x", count: 5000)] {
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: Failure.self) { try HDF5File.read(path) }
      }
      #expect(throws: Failure.self) { try HDF5File.read(folder + "/absent.h5") }
    }
  }

  @Test func refusesEveryTruncation() throws {
    try withTemporaryFolder { folder in
      let (path, bytes) = try file(folder)
      for count in stride(from: 0, to: bytes.count, by: 97) {
        try Data(bytes.prefix(count)).write(to: URL(fileURLWithPath: path))
        #expect(throws: Failure.self) { try HDF5File.read(path) }
      }
      try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: path))
      do {
        _ = try HDF5File.read(path)
        Issue.record("a truncated file was read")
      } catch let failure as Failure {
        #expect(failure.description.contains("it is truncated"))
        #expect(!failure.description.contains("\n"))
      }
    }
  }

  /// Whatever damaged bytes make the library do, the program goes on.
  @Test func survivesDamagedBytes() throws {
    try withTemporaryFolder { folder in
      let (path, bytes) = try file(folder)
      var generator = SplitMix64(seed: 5)
      var refused = 0
      for _ in 0..<150 {
        var damaged = bytes
        for _ in 0..<4 {
          let position = Int(generator.next() % UInt64(bytes.count))
          damaged[position] = UInt8(truncatingIfNeeded: generator.next())
        }
        try Data(damaged).write(to: URL(fileURLWithPath: path))
        do {
          _ = try HDF5File.read(path)
        } catch is Failure {
          refused += 1
        }
      }
      #expect(refused > 10)
    }
  }

  @Test func saysWhereItCannotWrite() throws {
    #expect(throws: Failure.self) { try HDF5File.write(HDF5Group(), to: "/nowhere/at/all.h5") }
  }
}

import Basics
import Foundation
import TestSupport
import Testing

@testable import HDF5

@Suite struct HDF5RoundTripTests {
  private func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }

  private func roundTrip(_ group: HDF5Group) throws -> HDF5Group {
    try withTemporaryFolder { folder in
      try HDF5File.write(group, to: folder + "/f.h5")
      return try HDF5File.read(folder + "/f.h5")
    }
  }

  @Test(arguments: [
    (HDF5ElementType.float(bits: 16), 2), (.float(bits: 32), 4), (.float(bits: 64), 8),
    (.brainFloat, 2), (.signed(bits: 8), 1), (.signed(bits: 16), 2), (.signed(bits: 32), 4),
    (.signed(bits: 64), 8), (.unsigned(bits: 8), 1), (.unsigned(bits: 16), 2),
    (.unsigned(bits: 32), 4), (.unsigned(bits: 64), 8),
  ])
  func keepsEveryBit(type: HDF5ElementType, width: Int) throws {
    #expect(type.byteCount == width)
    var group = HDF5Group()
    for (name, shape) in [("matrix", [3, 5]), ("scalar", []), ("empty", [0, 4]), ("deep/er/x:0", [2])] {
      let count = shape.reduce(1, *) * width
      group.insert(HDF5Dataset(shape: shape, type: type, bytes: bytes(count)), at: name)
    }
    #expect(try roundTrip(group) == group)
  }

  @Test func keepsBooleans() throws {
    let group = HDF5Group(datasets: ["b": HDF5Dataset(shape: [3], type: .boolean, bytes: [0, 1, 1])])
    #expect(try roundTrip(group) == group)
  }

  @Test func keepsAttributes() throws {
    // Longer than the 64 kB that an attribute of fixed length can have.
    let long = String(repeating: "configuration ", count: 10_000)
    let group = HDF5Group(attributes: [
      "long": .string(long), "accents": .string("é π"), "none": .string(""),
      "names": .strings(["conv2d/kernel:0", "b", ""]), "nothing": .empty,
    ])
    #expect(try roundTrip(group) == group)
  }

  @Test func keepsManyGroups() throws {
    var group = HDF5Group()
    for index in 0..<300 {
      group.insert(
        HDF5Dataset(shape: [2], type: .float(bits: 32), bytes: bytes(8, seed: UInt64(index))),
        at: "layer_\(index)/layer_\(index)/kernel:0")
    }
    #expect(try roundTrip(group) == group)
  }

  @Test func knowsItsSizeBeforehandAndRepeatsItself() throws {
    var group = HDF5Group(attributes: ["a": .string("text"), "list": .strings(["x", "yy"])])
    for index in 0..<20 {
      group.insert(
        HDF5Dataset(shape: [index + 1], type: .float(bits: 32), bytes: bytes(4 * (index + 1))),
        at: "g\(index)/kernel")
    }
    try withTemporaryFolder { folder in
      try HDF5File.write(group, to: folder + "/1.h5")
      try HDF5File.write(group, to: folder + "/2.h5")
      let first = try Data(contentsOf: URL(fileURLWithPath: folder + "/1.h5"))
      #expect(first == (try Data(contentsOf: URL(fileURLWithPath: folder + "/2.h5"))))
      let predicted = try HDF5File.byteCount(group)
      #expect(first.count == predicted)
      let payload = (1...20).reduce(0) { $0 + 4 * $1 }
      #expect(first.count > payload)
      // Two object headers of a group and a dataset each, with names, types and sizes.
      #expect(first.count < payload + 20 * 600 + 2000)
    }
  }

  @Test func leavesOutWhatIsSkipped() throws {
    var group = HDF5Group()
    group.insert(HDF5Dataset(shape: [1], type: .signed(bits: 8), bytes: [1]), at: "big/x")
    group.insert(HDF5Dataset(shape: [1], type: .signed(bits: 8), bytes: [2]), at: "small/x")
    try withTemporaryFolder { folder in
      try HDF5File.write(group, to: folder + "/f.h5")
      let read = try HDF5File.read(folder + "/f.h5", skipping: ["big"])
      #expect(read.groups["big"] == HDF5Group())
      #expect(read.dataset(at: "small/x")?.bytes == [2])
    }
  }

  @Test func listsDatasetsByPath() {
    var group = HDF5Group()
    let dataset = HDF5Dataset(shape: [], type: .signed(bits: 8), bytes: [0])
    for path in ["b/c", "a", "b/a/d"] { group.insert(dataset, at: path) }
    #expect(group.allDatasets.map(\.path) == ["a", "b/c", "b/a/d"])
    #expect(group.group(at: "b/a")?.datasets.keys.sorted() == ["d"])
    #expect(group.dataset(at: "b/x") == nil && group.dataset(at: "") == nil)
  }
}

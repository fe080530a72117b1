import Basics
import Foundation
import TestSupport
import Testing

@testable import HDF5

/// Sizes that are computed are those of the library's files, to the byte.
@Suite struct HDF5SizeTests {
  private static let types: [HDF5ElementType] =
    [16, 32, 64].map { .float(bits: $0) } + [8, 16, 32, 64].flatMap { [.signed(bits: $0), .unsigned(bits: $0)] }
    + [.brainFloat, .boolean]

  private func expectExact(_ group: HDF5Group, _ text: @autoclosure () -> String) throws {
    let (computed, written) = (try HDF5File.byteCount(group), try HDF5File.writtenByteCount(group))
    #expect(computed == written, "\(text()): \(computed - written) bytes too many of \(written)")
  }

  private func array(_ shape: [Int] = [2], _ type: HDF5ElementType = .float(bits: 32)) -> HDF5Dataset {
    HDF5Dataset(
      shape: shape, type: type, bytes: [UInt8](repeating: 1, count: shape.reduce(type.byteCount ?? 0, *)))
  }

  @Test(arguments: types.indices)
  func everyType(index: Int) throws {
    for shape in [
      [], [0], [3], [2, 0, 4], [1, 2, 3, 4], Array(repeating: 1, count: 13), Array(repeating: 1, count: 32),
    ] {
      for count in [1, 2, 5] {
        var group = HDF5Group()
        for number in 0..<count { group.datasets["x\(number)"] = array(shape, Self.types[index]) }
        try expectExact(group, "\(count) arrays of \(Self.types[index]) and shape \(shape)")
      }
    }
  }

  /// The bounds at which a number gets wider: 255 and 65535 bytes of a header, and of a name.
  @Test(arguments: [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 40, 100, 300, 2200])
  func membersOfOneGroup(count: Int) throws {
    for length in [1, 4, 5, 8, 9, 12, 20, 60] + (count < 10 ? [200, 254, 255, 256, 257, 3000] : []) {
      for attributes in [0, 1, 3] {
        var group = HDF5Group()
        for number in 0..<count {
          group.groups[String(number).padding(toLength: max(length, 5), withPad: "x", startingAt: 0)] = HDF5Group()
        }
        for number in 0..<attributes { group.attributes["a\(number)"] = .string("value") }
        try expectExact(HDF5Group(groups: ["g": group]), "\(count) names of \(length), \(attributes) attributes")
        try expectExact(group, "\(count) names of \(length), \(attributes) attributes, at the root")
      }
    }
  }

  @Test(arguments: 0...24)
  func attributesOfOneGroup(count: Int) throws {
    var generator = SplitMix64(seed: UInt64(count))
    for _ in 0..<20 {
      var group = HDF5Group(datasets: ["x": array()])
      for number in 0..<count { group.attributes["attribute \(number)"] = attribute(&generator, longest: 3000) }
      try expectExact(group, "\(count) attributes")
      try expectExact(HDF5Group(groups: ["a": group, "b": HDF5Group(groups: ["c": group])]), "\(count) attributes")
    }
  }

  @Test func longTexts() throws {
    for count in [0, 1, 250, 63_998, 63_999, 64_000, 64_001, 64_002, 64_008, 65_536, 70_000, 300_000] {
      let text = HDF5Attribute.string(String(repeating: "c", count: count))
      for group in [
        HDF5Group(attributes: ["t": text]),
        HDF5Group(attributes: ["a": .string("b"), "t": text, "z": .strings(["q"])]),
        HDF5Group(attributes: ["s": text, "t": text, "u": text], groups: ["g": HDF5Group(attributes: ["t": text])]),
        HDF5Group(attributes: ["t": text], datasets: ["x": array([3], .brainFloat)]),
      ] {
        try expectExact(group, "texts of \(count)")
      }
    }
  }

  /// Each has a text of its own, and 170 texts fill a heap.
  @Test(arguments: [1, 2, 169, 170, 171, 340, 341, 600])
  func manyBrainFloats(count: Int) throws {
    var group = HDF5Group(attributes: ["t": .string(String(repeating: "c", count: 90_000))])
    for number in 0..<count { group.insert(array([number % 3], .brainFloat), at: "g\(number % 7)/x\(number)") }
    try expectExact(group, "\(count) arrays")
  }

  /// Many objects, more than the library keeps in memory at once.
  @Test func largeTrees() throws {
    var group = HDF5Group(attributes: ["names": .strings((0..<12).map { "a layer's name \($0)" })])
    for number in 0..<12 {
      var layer = HDF5Group(attributes: ["weights": .strings(["kernel", "bias"]), "n": .empty])
      for inner in 0..<(number == 3 ? 6000 : 3) {
        layer.insert(array([3], .boolean), at: "inner \(inner)/kernel")
        layer.groups["inner \(inner)"]?.attributes["name"] = .string("inner")
      }
      group.groups[String(repeating: "l", count: 1 + number * 2)] = layer
    }
    try expectExact(group, "6000 groups in one of twelve")
  }

  @Test(arguments: 0..<40)
  func randomTrees(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    for _ in 0..<25 {
      let group = tree(&generator, depth: 1 + Int(generator.next() % 4))
      try expectExact(group, "\(group)")
    }
  }

  /// What a change leaves of a tree is what the changed tree would have been.
  @Test(arguments: 0..<20)
  func changedTrees(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(1000 + seed))
    for _ in 0..<25 {
      var group = tree(&generator, depth: 3)
      var sizes = HDF5SizeTree(group)
      for _ in 0..<6 {
        if generator.nextUniform() < 0.5 { _ = try sizes.fileByteCount() }
        let name = self.name(&generator)
        let path = group.groups.keys.sorted().first.map { "\($0)/new" } ?? "new"
        switch generator.next() % 4 {
        case 0:
          group.insert(array([7]), at: path + "/" + name)
          sizes.edit((path + "/" + name).split(separator: "/").dropLast()) { $0[name] = HDF5SizeTree(array([7])) }
        case 1:
          guard let victim = group.datasets.keys.sorted().first else { continue }
          group.datasets[victim] = nil
          sizes[victim] = nil
        case 2:
          let attribute = attribute(&generator, longest: 300)
          group.attributes[name] = attribute
          sizes.set(name, HDF5AttributeSize(attribute))
        default:
          guard let victim = group.attributes.keys.sorted().first else { continue }
          group.attributes[victim] = nil
          sizes.set(victim, nil)
        }
        let expected = try HDF5File.writtenByteCount(group)
        #expect(try sizes.fileByteCount() == expected)
      }
    }
  }

  @Test func refusesMoreThanTheFormHolds() {
    var group = HDF5Group()
    for number in 0..<65_536 { group.groups["\(number)"] = HDF5Group() }
    #expect(throws: Failure.self) { try HDF5File.byteCount(group) }
    #expect(throws: Failure.self) { try HDF5File.writtenByteCount(group) }
  }

  /// The library would store a longer list outside the header, where its size is not counted.
  @Test func refusesListsThatAHeaderDoesNotHold() throws {
    func group(_ width: Int) -> HDF5Group {
      HDF5Group(groups: ["g": HDF5Group(attributes: ["names": .strings([String(repeating: "n", count: width), "m"])])])
    }
    try expectExact(group(HDF5Writer.largestList / 2), "the longest list")
    for count in [HDF5File.byteCount, HDF5File.writtenByteCount] {
      let failure = #expect(throws: Failure.self) { try count(group(HDF5Writer.largestList / 2 + 1)) }
      #expect(failure?.description.contains("'names'") == true)
    }
  }

  // MARK: Random trees

  private func name(_ generator: inout SplitMix64) -> String {
    let letters = Array("abcXYZ019_:.- é")
    let length =
      1 + Int(generator.next() % (generator.nextUniform() < 0.03 ? 300 : generator.nextUniform() < 0.5 ? 6 : 30))
    // A name of dots alone would be the group itself.
    return "n" + String((0..<length - 1).map { _ in letters[Int(generator.next() % UInt64(letters.count))] })
  }

  private func attribute(_ generator: inout SplitMix64, longest: Int) -> HDF5Attribute {
    func text() -> String {
      String(repeating: "t", count: Int(generator.next() % UInt64(generator.nextUniform() < 0.2 ? longest : 20)))
    }
    switch generator.next() % 4 {
    case 0: return .empty
    case 1: return .strings((0..<Int(generator.next() % 8)).map { _ in text() })
    default: return .string(text())
    }
  }

  private func tree(_ generator: inout SplitMix64, depth: Int) -> HDF5Group {
    var group = HDF5Group()
    let most = generator.nextUniform() < 0.1 ? 60 : 6
    if generator.nextUniform() < 0.6 {
      for _ in 0..<Int(generator.next() % (generator.nextUniform() < 0.2 ? 14 : 4)) {
        let isLong = generator.nextUniform() < 0.02
        group.attributes[name(&generator)] = attribute(
          &generator, longest: isLong ? HDF5Writer.largestFixedString / 8 : 400)
      }
    }
    for _ in 0..<Int(generator.next() % UInt64(most)) {
      let shape = (0..<Int(generator.next() % 5)).map { _ in Int(generator.next() % 5) }
      let key = name(&generator)
      group.datasets[key] = array(shape, Self.types[Int(generator.next() % UInt64(Self.types.count))])
    }
    guard depth > 1 else { return group }
    for _ in 0..<Int(generator.next() % UInt64(most)) {
      let key = name(&generator)
      if group.datasets[key] == nil { group.groups[key] = tree(&generator, depth: depth - 1) }
    }
    return group
  }
}

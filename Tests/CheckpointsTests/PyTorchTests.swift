import Basics
import Checkpoints
import TensorCore
import TestSupport
import Testing

@testable import Formats
@testable import PyTorch

@Suite struct PyTorchTests {
  /// Twelve numbers, 0 to 11.
  private static let numbers = (0..<12).map { Float($0) }
  private static let storage = StoredTensor(name: "", Tensor(shape: [12], elements: numbers), as: .f32).bytes

  private static let network = PickleBuilder.of { pickle in
    pickle.dictionary { pickle in
      pickle.text("a.weight")
      pickle.tensor(storage: "0", count: 12, [3, 4], [4, 1])
      pickle.text("turned.weight")
      pickle.tensor(storage: "0", count: 12, [4, 3], [1, 4])
      pickle.text("part.weight")
      pickle.tensor(storage: "0", count: 12, offset: 5, [2, 2], [4, 1])
      pickle.text("wide.weight")
      pickle.tensor(storage: "0", count: 12, offset: 1, [2, 3], [1, 0])
      pickle.text("again.weight")
      pickle.tensor(storage: "0", count: 12, [3, 4], [4, 1])
      pickle.text("none")
      pickle.tensor(storage: "0", count: 12, [0, 4], [4, 1])
    }
  }

  private func opened(_ bytes: [UInt8], _ options: StateDictOptions = StateDictOptions(), name: String = "m.pt") throws
    -> Checkpoint
  {
    try withTemporaryFolder { folder in
      try OutputFile.write(bytes, to: "\(folder)/\(name)", overwrite: false)
      return try Checkpoint.open("\(folder)/\(name)", stateDict: options)
    }
  }

  private func values(_ checkpoint: Checkpoint, _ name: String) throws -> [Float] {
    try checkpoint.tensor(named: name)?.decoded(as: Float.self).elements ?? []
  }

  @Test(arguments: [false, true])
  func readsViewsOfAStorage(isLegacy: Bool) throws {
    let file =
      isLegacy
      ? PickleBuilder.legacy(Self.network, [("0", 12, Self.storage)])
      : try PickleBuilder.archive(Self.network, ["0": Self.storage])
    let checkpoint = try opened(file)
    #expect(checkpoint.format == "pytorch")
    #expect(checkpoint.tensors.map(\.name) == ["a.weight", "turned.weight", "part.weight", "wide.weight", "none"])
    #expect(try values(checkpoint, "a.weight") == Self.numbers)
    #expect(try values(checkpoint, "turned.weight") == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    #expect(try values(checkpoint, "part.weight") == [5, 6, 9, 10])
    #expect(try values(checkpoint, "wide.weight") == [1, 1, 1, 2, 2, 2])
    #expect(checkpoint.tensor(named: "none")?.shape == [0, 4])
    // One tensor under two names is there once, and cannot change for one of them.
    #expect(checkpoint.metadata?["again.weight"] == "a.weight")
    #expect(checkpoint.layers.first { $0.name == "a" }?.refusal?.contains("'again.weight'") == true)
    #expect(CheckpointPath("x/m.pt").compressed == "x/m.compressed.safetensors")
  }

  @Test func numbersOfABigEndianMachineAreTurned() throws {
    let swapped = stride(from: 0, to: 48, by: 4).flatMap { Self.storage[$0..<$0 + 4].reversed() }
    let file = try PickleBuilder.archive(Self.network, ["0": swapped], byteOrder: "big")
    #expect(try values(opened(file), "turned.weight")[1] == 4)
  }

  /// A training checkpoint: two networks, what an optimiser remembers, and an object of a class.
  private static let training = PickleBuilder.of { pickle in
    pickle.dictionary { pickle in
      for (key, offset) in [("model", 0), ("ema", 4)] {
        pickle.text(key)
        pickle.dictionary { pickle in
          pickle.text("fc.weight")
          pickle.tensor(storage: "0", count: 12, offset: offset, [2, 4], [4, 1])
        }
      }
      pickle.text("optimizer")
      pickle.dictionary { pickle in
        pickle.text("state")
        pickle.dictionary { pickle in
          pickle.text("exp_avg")
          pickle.tensor(storage: "0", count: 12, [2, 4], [4, 1])
        }
        pickle.text("param_groups")
        pickle.codes("]")
      }
      pickle.text("hyper_parameters")
      pickle.global("argparse", "Namespace")
      pickle.codes(")")
      pickle.code(0x81)
    }
  }

  @Test func asksWhichNetworkIsMeant() throws {
    let file = try PickleBuilder.archive(Self.training, ["0": Self.storage])
    #expect(message { _ = try opened(file) }.contains("'model' (1 tensors, 8 numbers), 'ema' (1 tensors, 8 numbers)"))
    let ema = try opened(file, StateDictOptions(prefix: "ema"))
    #expect(try values(ema, "fc.weight") == Array(Self.numbers[4...]))
    #expect(ema.content.stateDict?.prefix == "ema")
    #expect(
      ema.notices.contains { $0.contains("optimiser") } && ema.notices.contains { $0.contains("argparse.Namespace") })
    #expect(message { _ = try opened(file, StateDictOptions(prefix: "x")) }.contains("matches nothing"))
  }

  @Test func nothingIsCalledButWhatIsKnown() throws {
    func text(_ body: (inout PickleBuilder) -> Void) -> String {
      message { _ = try opened(try PickleBuilder.archive(PickleBuilder.of(body), ["0": Self.storage])) }
    }
    #expect(
      text {
        $0.global("os", "system"); $0.codes("("); $0.text("true"); $0.codes("tR")
      }.contains("it calls 'os.system'"))
    #expect(
      text {
        $0.codes("(i"); $0.codes("os\nsystem\n")
      }.contains("it calls 'os.system'"))
    #expect(
      text { pickle in
        pickle.global("my", "Net")
        pickle.codes(")")
        pickle.code(0x81)
        pickle.dictionary { pickle in
          pickle.text("_parameters")
          pickle.codes("}")
          pickle.text("_modules")
          pickle.codes("}")
        }
        pickle.codes("b")
      }.contains("a whole module (my.Net)"))
    #expect(text { $0.codes("}") }.contains("no state dict"))
    #expect(text { $0.codes("(((") }.contains("its stack is empty"))
    #expect(
      text {
        $0.codes("h"); $0.code(5)
      }.contains("recalls"))
  }

  @Test(arguments: [
    ([1 << 40], [0], 0, "too large"), ([1 << 40, 1 << 40], [0, 0], 0, "too large"),
    ([4, 4], [4, 1], 0, "reaches beyond"),
    ([2], [1], 11, "reaches beyond"), ([2, 2], [1 << 62, 1 << 62], 0, "reaches beyond"), ([2], [-1], 3, "do not fit"),
  ])
  func aTensorLiesInItsStorage(shape: [Int], strides: [Int], offset: Int, reason: String) throws {
    let pickle = PickleBuilder.of { pickle in
      pickle.dictionary { pickle in
        pickle.text("a.weight")
        pickle.tensor(storage: "0", count: 12, [3, 4], [4, 1])
        pickle.text("b.weight")
        pickle.tensor(storage: "0", count: 12, offset: offset, shape, strides)
      }
    }
    #expect(message { _ = try opened(try PickleBuilder.archive(pickle, ["0": Self.storage])) }.contains(reason))
  }

  /// Files in which some bytes are others: each is read or refused, and none crashes or runs on.
  @Test func damagedFilesAreReadOrRefused() throws {
    var generator = SplitMix64(seed: 5)
    var readable = 0
    for round in 0..<10_000 {
      var pickle = round % 2 == 0 ? Self.network : Self.training
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: pickle.indices, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: pickle[place] = UInt8.random(in: 0...255, using: &generator)
        case 1: pickle.remove(at: place)
        case 2: pickle.insert(contentsOf: pickle[place...].prefix(9), at: place)
        default: pickle[place] = pickle[Int.random(in: pickle.indices, using: &generator)]
        }
      }
      let bytes =
        round % 3 == 0
        ? PickleBuilder.legacy(pickle, [("0", 12, Self.storage)])
        : try PickleBuilder.archive(pickle, ["0": Self.storage])
      do {
        let file = try TorchFile(bytes)
        _ = try file.tensors(try TorchStateDicts(file).network(prefix: nil).tensors)
        readable += 1
      } catch is Failure {}
    }
    #expect((100..<9_900).contains(readable), "\(readable) files could be read")
  }

  /// Truncated at every byte, and with every single byte of the archive changed.
  @Test func damagedArchivesAreReadOrRefused() throws {
    let file = try PickleBuilder.archive(Self.network, ["0": Self.storage])
    for count in file.indices { #expect(throws: Failure.self) { _ = try TorchFile(Array(file[..<count])) } }
    for place in file.indices {
      var changed = file
      changed[place] ^= 0x55
      do {
        let file = try TorchFile(changed)
        _ = try file.tensors(try TorchStateDicts(file).network(prefix: nil).tensors)
      } catch is Failure {}
    }
  }
}

import Basics
import Checkpoints
import Formats
import ModelGraph
import TensorCore
import TestSupport
import Testing

@testable import Safetensors

@Suite struct SafetensorsReplacingTests {
  private func stage(_ kernel: [Int], groups: Int = 1, batch: Int = 1) -> Stage {
    .convolution(
      Convolution(
        kernelShape: kernel, groups: groups, batch: batch, window: .unit(kernel.count - 2)))
  }

  private func suffixes(_ stages: [Stage]) -> [String] { stages.sequentialTensors.map(\.suffix) }

  @Test func positionsCountTheModulesOfASequence() {
    let (a, b) = (stage([2, 3, 1, 1]), stage([8, 2, 1, 1]))
    let batched = stage([4, 2, 1, 1], batch: 2)
    let permutation = Stage.permutation(axes: [2, 4], order: [1, 0])
    #expect(suffixes([a, b, .bias(channels: 8)]) == ["0.weight", "1.weight", "1.bias"])
    #expect(suffixes([a, permutation, b]) == ["0.weight", "2.weight"])
    #expect(
      suffixes([permutation, a, permutation, .bias(channels: 2)]) == ["1.weight", "3.bias"])
    #expect(suffixes([batched, .bias(channels: 8)]) == ["0.weight", "1.bias"])
    #expect(
      suffixes([a, .bias(channels: 2), permutation, b]) == ["0.weight", "0.bias", "2.weight"])
  }

  private func checkpoint(_ shards: [SafetensorsSet.Shard], in folder: String) throws -> Checkpoint {
    let set = try SafetensorsSet(shards: shards, isSharded: shards.count > 1)
    let path = folder + (set.isSharded ? "/m.safetensors.index.json" : "/m.safetensors")
    try set.write(to: path, overwrite: true)
    return try Checkpoint.open(path)
  }

  @Test func movesTheBiasAndKeepsEverythingElse() throws {
    let bias = StoredTensor(
      name: "conv.bias", dtype: .f64, shape: [8],
      bytes: tensor("", .f64, [8]).bytes.map { $0 ^ 0xA5 })
    let others = [
      tensor("bn.weight", .f32, [8]), tensor("q", .f8e4m3, [3]), tensor("steps", .i64, []),
    ]
    let shard = SafetensorsSet.Shard(
      fileName: "m.safetensors", metadata: ["format": "pt", "a": "b"],
      tensors: [tensor("conv.weight", .f16, [8, 4, 3, 3]), bias] + others)
    let first = Tensor<Double>(shape: [2, 4, 3, 3], elements: (0..<72).map { Double($0) / 8 })
    let second = Tensor<Double>(shape: [8, 2, 1, 1], elements: (0..<16).map { -Double($0) })
    let replacement = Replacement(
      layer: "conv",
      stages: [stage([2, 4, 3, 3]), stage([8, 2, 1, 1]), .bias(channels: 8)],
      weights: [first, second])
    try withTemporaryFolder { folder in
      let original = try checkpoint([shard], in: folder)
      let path = CheckpointPath(original.path).compressed
      #expect(path == folder + "/m.compressed.safetensors")
      let record: JSON = ["layers": ["conv"], "text": "\"é\n"]
      try original.write(replacing: [replacement], record: record, to: path, overwrite: false)
      let result = try Checkpoint.open(path)
      #expect(result.record == record)
      let tensors = Dictionary(uniqueKeysWithValues: result.tensors.map { ($0.name, $0) })
      #expect(
        Set(tensors.keys)
          == ["conv.0.weight", "conv.1.weight", "conv.1.bias", "bn.weight", "q", "steps"])
      #expect(try tensors["conv.0.weight"]?.decoded() == first)
      #expect(try tensors["conv.1.weight"]?.decoded() == second)
      #expect(tensors["conv.0.weight"]?.dtype == .f16)
      #expect(tensors["conv.1.bias"] == bias.renamed("conv.1.bias"))
      for other in others { #expect(tensors[other.name] == other) }
      let shard = try SafetensorsSet.Shard(fileName: "", parsing: InputFile.read(path))
      #expect(shard.metadata == ["format": "pt", "a": "b", "kcompress": record.text()])

      // The same bytes again, and a record replaces the one before it.
      try original.write(
        replacing: [replacement], record: record, to: folder + "/again.safetensors",
        overwrite: false)
      #expect(try InputFile.read(folder + "/again.safetensors") == InputFile.read(path))
      #expect(try result.byteCount(replacing: [], record: 1) < result.byteCount)
    }
  }

  /// Random sets, random stages: what is counted is what is written.
  @Test(arguments: 0..<40)
  func countsTheBytesThatItWrites(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    func pick<T>(_ values: [T]) -> T { values[Int.random(in: values.indices, using: &generator)] }
    var shards = (0..<pick([1, 1, 2, 3])).map { _ in [StoredTensor]() }
    var replacements: [Replacement] = []
    for index in 0..<Int.random(in: 0...12, using: &generator) {
      let name = pick(["conv", "é\"q", "layer1.0.conv", "a\\b"]) + "\(index)"
      let (out, dtype) = (pick([2, 8, 12]), pick([DType.f16, .bf16, .f32, .f64]))
      let hasBias = Bool.random(using: &generator)
      let home = Int.random(in: shards.indices, using: &generator)
      shards[home].append(tensor(name + ".weight", dtype, [out, 16, 3, 3]))
      if hasBias {
        shards[pick([home, 0])].append(tensor(name + ".bias", pick([dtype, .f32]), [out]))
      }
      shards[0].append(tensor("bn\(index).weight", pick(DType.allCases), [8, pick([0, 1, 17])]))
      guard Bool.random(using: &generator) else { continue }
      var stages = (0..<pick([1, 3, 11])).map { _ in
        pick([
          stage([pick([1, 10]), 4, 1, 1]), stage([2, 2, 3, 3], batch: 2),
          .permutation(axes: [2, 2], order: [1, 0]),
        ])
      }
      if hasBias { stages.append(.bias(channels: out)) }
      replacements.append(
        Replacement(
          layer: name, stages: stages,
          weights: stages.convolutions.map { Tensor(gaussian: $0.kernelShape, using: &generator) }))
    }
    let metadata = pick([[:], ["format": "pt"], ["kcompress": "{}"], ["a": "é", "z": ""]])
    try withTemporaryFolder { folder in
      let original = try checkpoint(
        shards.enumerated().map { index, tensors in
          SafetensorsSet.Shard(
            fileName: "s\(index).safetensors", metadata: metadata,
            tensors: tensors + [tensor("shard\(index)", .u8, [index])])
        }, in: folder)
      let record: JSON = ["note": "\"é\t\\", "seed": .integer(seed)]
      let path = CheckpointPath(original.path).compressed
      try original.write(replacing: replacements, record: record, to: path, overwrite: false)
      let sizesOnly = replacements.map { Replacement(layer: $0.layer, stages: $0.stages) }
      let counted = try original.byteCount(replacing: sizesOnly, record: record)
      let written = try Checkpoint.open(path).byteCount
      #expect(counted == written, "\(shards.count) shards, \(replacements.count) replacements")
    }
  }

  @Test func refusesWhatMayNotBeReplaced() throws {
    let shard = SafetensorsSet.Shard(
      fileName: "m", metadata: [:],
      tensors: [tensor("fc.weight", .f16, [2, 2]), tensor("dw.weight", .f32, [4, 1, 3, 3])])
    let set = try SafetensorsSet(shards: [shard], isSharded: false)
    func text(_ replacements: [Replacement]) -> String {
      message { _ = try set.replacing(replacements, record: nil) }
    }
    let huge = Tensor<Double>(shape: [2, 2], elements: [1, 2, 3, 65520])
    let notANumber = Tensor<Double>(shape: [2, 2], elements: [1, 2, 3, .nan])
    let stages = [stage([2, 2])]
    #expect(text([Replacement(layer: "b", stages: [])]).contains("no such layer"))
    #expect(text([Replacement(layer: "dw", stages: [])]).contains("depthwise"))
    #expect(
      text([Replacement(layer: "fc", stages: stages, weights: [huge])]).contains("no finite F16"))
    #expect(
      text([Replacement(layer: "fc", stages: stages, weights: [notANumber])]).contains(
        "no finite F16"))
    let twice = Array(repeating: Replacement(layer: "fc", stages: []), count: 2)
    #expect(text(twice).contains("two replacements"))
  }
}

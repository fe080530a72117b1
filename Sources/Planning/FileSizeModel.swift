import Checkpoints
import Decompositions
import ModelGraph
import TensorCore

/// What the file costs in bytes: exactly for a whole plan, and layer by layer for the solver, which needs costs that add up.
///
/// The bytes of a replaced layer are its weights plus the headers of the layers that take its place. The headers are measured
/// once for each form (the sequence of stages, and how long their numbers are) by asking the writer for the size of a file with that one
/// replacement. What does not add up between layers (digits, padding) is left to the caller, who measures the whole plan.
struct FileSizeModel {
  let checkpoint: Checkpoint
  let record: @Sendable ([Replacement]) throws -> Record
  /// The size with every layer dense.
  let denseByteCount: Int

  init(
    _ checkpoint: Checkpoint, record: @escaping @Sendable ([Replacement]) throws -> Record
  ) throws {
    self.checkpoint = checkpoint
    self.record = record
    denseByteCount = try checkpoint.byteCount(replacing: [], record: record([]).json)
  }

  /// How far the sum of the layers' growths, with what they share counted once, can be from the file's real growth, in bytes.
  var slack: Int { checkpoint.sizeSlack }

  /// What a replacement needs in the file that others may need too: growths count it for every layer, files hold it once.
  func shared(_ replacement: Replacement) throws -> [IntegerVector] { try checkpoint.sharedVectors(of: replacement) }

  /// The exact size of the file with these replacements.
  func byteCount(_ replacements: [Replacement]) throws -> Int {
    try checkpoint.byteCount(replacing: replacements, record: record(replacements).json)
  }

  /// The size of the file with these replacements, as the library that writes the file finds it.
  func provenByteCount(_ replacements: [Replacement]) throws -> Int {
    try checkpoint.provenByteCount(replacing: replacements, record: record(replacements).json)
  }

  /// What the file grows by (negative: shrinks by) when the layer takes each of these forms.
  func growths(_ layer: Layer, _ forms: [LayerChoices.Form]) throws -> [Int] {
    var overheads: [[Int]: Int] = [:]
    return try forms.map { own in
      guard let replacement = own.replacement(of: layer) else { return 0 }
      let stages = replacement.stages
      let payload =
        stages.byteCount(layer.dtype, own.storage, scaleType: checkpoint.content.scaleType)
        - layer.denseStages.byteCount(layer.dtype, .float, scaleType: checkpoint.content.scaleType)
      let form =
        [own.storage.width?.rawValue ?? 0, own.candidate == nil ? 1 : 0] + stages.flatMap(\.form)
        + stages.hasScales.map { $0 ? 1 : 0 }
        + (own.storage == .float ? [] : stages.convolutions.map { RoundedTensor.lengths($0, own.storage) })
      if let overhead = overheads[form] { return payload + overhead }
      let size = try byteCount([replacement])
      overheads[form] = size - denseByteCount - payload
      return size - denseByteCount
    }
  }
}

extension Stage {
  /// What decides about the headers that a stage needs: which layers express it, and how long its numbers are as text and in bytes. The
  /// weights themselves are counted apart, but not the constants by which formats express permutations.
  fileprivate var form: [Int] {
    switch self {
    case .convolution(let convolution):
      let window = convolution.window
      let flags = [
        convolution.batch > 1, convolution.groups > 1, window.stride.contains { $0 > 1 },
        window.dilation.contains { $0 > 1 },
        window.padding == .valid, convolution.spatialExtents.contains { $0 > 1 }, convolution.transposition != nil,
      ]
      let numbers =
        convolution.kernelShape
        + [convolution.batch, convolution.groups, convolution.outputChannels, convolution.parameterCount]
        + window.dilation + (convolution.transposition?.outputPadding ?? [])
      return [-1] + flags.map { $0 ? 1 : 0 } + numbers.map(\.lengths)
    case .permutation(let axes, let order): return [-2] + axes + order
    case .bias: return [-3]
    }
  }
}

extension RoundedTensor {
  /// How long the count of a weight's packed bytes is.
  fileprivate static func lengths(_ convolution: Convolution, _ storage: WeightStorage) -> Int {
    storage.width.map { packedCount(convolution.parameterCount, $0).lengths } ?? 0
  }
}

extension Int {
  /// The count of the number's decimal digits and that of its groups of seven bits, in one number.
  fileprivate var lengths: Int {
    var (digits, rest) = (1, self / 10)
    while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
    return 16 * digits + (bitWidth - leadingZeroBitCount + 6) / 7
  }
}

import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// The exact size of a set with some layers in factored form, from names, dtypes and shapes alone. A plan asks for it
/// very many times, so everything that stays the same is measured once.
///
/// A factored layer's tensors take the place of its kernel in the file's order, because all names that begin with the
/// layer's name are the layer's own (see `SafetensorsLayers`). So nothing has to be sorted or even named here.
struct SafetensorsSizes: Sendable {
  /// A tensor of a file, in the file's order.
  private struct Slot {
    let name: String
    let rank: Int
    let startLength: Int
    let byteCount: Int
    let quotedNameLength: Int
    /// The layer that the tensor is the kernel or the bias of.
    let layer: Int?
    let isBias: Bool
  }

  private struct LayerSlots {
    let layer: Layer
    let prefix: String
    let quotedPrefixLength: Int
    let bias: StoredTensor?
    /// The file that holds the kernel.
    let file: Int
    /// Whether kernel and bias are neighbours in one file, as where their dtypes agree.
    let isBiasBesideKernel: Bool
  }

  private let files: [[Slot]]
  private let layers: [LayerSlots]
  private let layerIndices: [String: Int]
  /// The length of `"__metadata__":{...}` by file without a record; 0 where there is none.
  private let metadataLengths: [Int]
  private let isSharded: Bool

  init(shards: [SafetensorsSet.Shard], isSharded: Bool, layers: [Layer]) {
    var owners: [String: Int] = [:]
    var places: [String: (shard: Int, tensor: StoredTensor)] = [:]
    for (index, shard) in shards.enumerated() {
      for tensor in shard.tensors { places[tensor.name] = (index, tensor) }
    }
    self.layers = layers.enumerated().map { index, layer in
      owners[layer.kernel.name] = index
      if let bias = layer.bias { owners[bias.name] = index }
      let bias = layer.bias.flatMap { places[$0.name] }
      let prefix = SafetensorsLayers.prefix(of: layer)
      return LayerSlots(
        layer: layer, prefix: prefix, quotedPrefixLength: SafetensorsLayout.quotedLength(prefix),
        bias: bias?.tensor, file: places[layer.kernel.name]?.shard ?? 0,
        isBiasBesideKernel: bias?.shard == places[layer.kernel.name]?.shard
          && bias?.tensor.dtype == layer.dtype)
    }
    layerIndices = Dictionary(
      uniqueKeysWithValues: layers.enumerated().map { ($1.name, $0) })
    files = shards.map { shard in
      shard.tensors.sorted(by: SafetensorsLayout.precedes).map { tensor in
        let quotedLength = SafetensorsLayout.quotedLength(tensor.name)
        let layer = owners[tensor.name]
        return Slot(
          name: tensor.name, rank: SafetensorsLayout.rank(tensor.dtype),
          startLength: SafetensorsLayout.entryStartLength(
            quotedNameLength: quotedLength, dtype: tensor.dtype, shape: tensor.shape),
          byteCount: tensor.bytes.count, quotedNameLength: quotedLength, layer: layer,
          isBias: layer.map { layers[$0].bias?.name == tensor.name } ?? false)
      }
    }
    metadataLengths = shards.map { shard in
      var metadata = shard.metadata
      metadata[SafetensorsSet.recordKey] = nil
      return SafetensorsLayout.metadataText(metadata)?.utf8.count ?? 0
    }
    self.isSharded = isSharded
  }

  /// The layers that replacements are about.
  ///
  /// - Throws: `Failure` for a layer that is not there, may not be replaced or comes twice.
  func matched(_ replacements: [Replacement]) throws -> [(layer: Layer, replacement: Replacement)] {
    try indices(replacements).map { (layers[$0].layer, $1) }
  }

  private func indices(
    _ replacements: [Replacement]
  ) throws -> [(index: Int, replacement: Replacement)] {
    var isTaken = Array(repeating: false, count: layers.count)
    return try replacements.map { replacement in
      func failure(_ reason: String) -> Failure {
        Failure("layer '\(replacement.layer)'", "cannot be replaced", reason)
      }
      guard let index = layerIndices[replacement.layer] else {
        throw failure("the checkpoint has no such layer")
      }
      if let refusal = layers[index].layer.refusal { throw failure(refusal) }
      guard !isTaken[index] else { throw failure("it has two replacements") }
      isTaken[index] = true
      let biasCount = replacement.stages.count { if case .bias = $0 { true } else { false } }
      precondition(
        biasCount == (layers[index].bias == nil ? 0 : 1),
        "the stages of '\(replacement.layer)' add the bias \(biasCount) times")
      return (index, replacement)
    }
  }

  /// The bytes of the file, or of the index and all shards.
  ///
  /// - Parameter shardNameLength: the length of a shard's quoted file name, for the index.
  /// - Throws: as `matched`.
  func byteCount(
    _ replacements: [Replacement], record: JSON, shardNameLength: Int
  ) throws -> Int {
    var tensors: [[SequentialTensor]?] = Array(repeating: nil, count: layers.count)
    var rounded: [Int: BitWidth] = [:]
    // Integers and scales stand elsewhere in the file than the kernel that they take the place of.
    var added: [[Slot]] = Array(repeating: [], count: files.count)
    for (index, replacement) in try indices(replacements) {
      if !replacement.isDense { tensors[index] = replacement.stages.sequentialTensors }
      guard case .integers(let width) = replacement.storage else { continue }
      rounded[index] = width
      added[layers[index].file] += slots(of: replacement, width, layers[index])
    }
    let recordLength = SafetensorsLayout.quotedLength(record.text())
    var total = 0
    var index = IndexSize()
    for (file, slots) in files.enumerated() {
      var header = HeaderSize(
        metadataLength: file == 0
          ? Self.withRecord(metadataLengths[0], recordLength) : metadataLengths[file])
      for slot in Self.merged(slots, added[file]) {
        if let layer = slot.layer, rounded[layer] != nil, !slot.isBias, tensors[layer] == nil {
          continue
        } else if let layer = slot.layer, let tensors = tensors[layer] {
          add(tensors, of: layers[layer], isRounded: rounded[layer] != nil, at: slot, to: &header, &index)
        } else {
          header.add(startLength: slot.startLength, byteCount: slot.byteCount)
          index.add(quotedNameLength: slot.quotedNameLength)
        }
      }
      total += header.fileSize
      index.totalSize += header.dataLength
    }
    return isSharded ? total + index.length(shardNameLength: shardNameLength) : total
  }

  /// The tensors of a factored layer that stand where its kernel or its bias stood.
  private func add(
    _ tensors: [SequentialTensor], of slots: LayerSlots, isRounded: Bool, at slot: Slot,
    to header: inout HeaderSize, _ index: inout IndexSize
  ) {
    for tensor in Self.inNameOrder(tensors) {
      let suffixLength = SafetensorsLayout.digitCount(tensor.position)
      let (dtype, shape, byteCount, wordLength): (DType, [Int], Int, Int)
      switch tensor.role {
      case .weight(_, let kernelShape):
        guard !slot.isBias, !isRounded else { continue }
        (dtype, shape, wordLength) = (slots.layer.dtype, kernelShape, ".weight".utf8.count)
        byteCount = shape.reduce(dtype.bits / 8, *)
      case .bias:
        guard let bias = slots.bias, slot.isBias != slots.isBiasBesideKernel else { continue }
        (dtype, shape, wordLength) = (bias.dtype, bias.shape, ".bias".utf8.count)
        byteCount = bias.bytes.count
      }
      let quotedNameLength = slots.quotedPrefixLength + suffixLength + wordLength
      header.add(
        startLength: SafetensorsLayout.entryStartLength(
          quotedNameLength: quotedNameLength, dtype: dtype, shape: shape), byteCount: byteCount)
      index.add(quotedNameLength: quotedNameLength)
    }
  }

  /// The integers and scales of a layer, in the order of a file.
  private func slots(of replacement: Replacement, _ width: BitWidth, _ layer: LayerSlots) -> [Slot] {
    func slot(_ name: String, _ dtype: DType, _ shape: [Int], _ byteCount: Int) -> Slot {
      let quotedLength = SafetensorsLayout.quotedLength(name)
      return Slot(
        name: name, rank: SafetensorsLayout.rank(dtype),
        startLength: SafetensorsLayout.entryStartLength(quotedNameLength: quotedLength, dtype: dtype, shape: shape),
        byteCount: byteCount, quotedNameLength: quotedLength, layer: nil, isBias: false)
    }
    let hasScales = replacement.stages.hasScales
    return replacement.namedTensors.flatMap { tensor -> [Slot] in
      guard case .weight(let index, let shape) = tensor.role else { return [] }
      let name = layer.prefix + tensor.suffix
      let integers = RoundedEntry.entry(shape, width)
      let weight = slot(name, integers.dtype, integers.shape, integers.byteCount)
      guard hasScales[index] else { return [weight] }
      return [
        weight,
        slot(
          name + RoundedEntry.scaleSuffix, RoundedEntry.scaleType, [shape[0]],
          shape[0] * RoundedEntry.scaleType.bits / 8),
      ]
    }
  }

  /// Slots of a file with others among them.
  private static func merged(_ slots: [Slot], _ added: [Slot]) -> [Slot] {
    guard !added.isEmpty else { return slots }
    func precedes(_ a: Slot, _ b: Slot) -> Bool { a.rank == b.rank ? a.name < b.name : a.rank > b.rank }
    var result: [Slot] = []
    result.reserveCapacity(slots.count + added.count)
    var taken = 0
    for slot in added.sorted(by: precedes) {
      // The first of the file's own that comes later.
      var (low, high) = (taken, slots.count)
      while low < high {
        let middle = (low + high) / 2
        if precedes(slots[middle], slot) { low = middle + 1 } else { high = middle }
      }
      result += slots[taken..<low]
      result.append(slot)
      taken = low
    }
    return result + slots[taken...]
  }

  /// `10.weight` comes before `2.weight`, and `2.bias` before `2.weight`.
  private static func inNameOrder(_ tensors: [SequentialTensor]) -> [SequentialTensor] {
    let isInOrder = tensors.allSatisfy { $0.position < 10 && $0.role != .bias }
    return isInOrder ? tensors : tensors.sorted { $0.suffix < $1.suffix }
  }

  /// The length of the metadata once the record is in it.
  private static func withRecord(_ length: Int, _ recordLength: Int) -> Int {
    let entry = "\"\":\"\"".utf8.count + SafetensorsSet.recordKey.utf8.count + recordLength
    return length == 0
      ? "\"\":{}".utf8.count + SafetensorsHeader.metadataKey.utf8.count + entry
      : length + 1 + entry
  }
}

/// Counts a file while its tensors go by in order.
private struct HeaderSize {
  private var length: Int
  private var entryCount: Int
  private(set) var dataLength = 0

  init(metadataLength: Int) {
    length = 2 + metadataLength
    entryCount = metadataLength > 0 ? 1 : 0
  }

  mutating func add(startLength: Int, byteCount: Int) {
    let end = dataLength + byteCount
    length += startLength + SafetensorsLayout.entryEndLength(dataLength, end)
    dataLength = end
    entryCount += 1
  }

  var fileSize: Int { 8 + SafetensorsLayout.padded(length + max(0, entryCount - 1)) + dataLength }
}

/// Counts an index while the tensors go by in any order.
private struct IndexSize {
  var totalSize = 0
  private var entryCount = 0
  private var nameLength = 0

  mutating func add(quotedNameLength: Int) {
    entryCount += 1
    nameLength += quotedNameLength
  }

  /// See `SafetensorsIndex.text`: every entry has a line `    "name": "file"` of its own, with commas between them.
  func length(shardNameLength: Int) -> Int {
    let frame = SafetensorsIndex.text(totalSize: totalSize, weightMap: JSONObject()).utf8.count
    guard entryCount > 0 else { return frame }
    let lineFrame = "\n    \"\": \"\"".utf8.count + shardNameLength
    return frame + nameLength + entryCount * lineFrame + (entryCount - 1) + "\n  ".utf8.count
  }
}

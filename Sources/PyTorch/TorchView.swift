import Basics
import TensorCore

/// A tensor as PyTorch keeps it: a view of a storage.
struct TorchView: Sendable, Equatable, Hashable {
  /// A place in `PickleHeap.storages`.
  let storage: Int
  let type: TorchType
  /// Where the first element lies, in elements from the beginning of the storage.
  let offset: Int
  let shape: [Int]
  /// The elements between neighbours along each axis.
  let strides: [Int]

  /// PyTorch's own limit.
  private static let maximumRank = 64

  /// Makes a tensor of the arguments of `_rebuild_tensor(storage, offset, shape, strides, ...)` and its later versions.
  ///
  /// - Throws: `Failure` where they do not fit.
  static func rebuilt(_ name: String, _ arguments: [PickleValue], _ heap: inout PickleHeap) throws -> PickleValue {
    guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1],
      let shape = heap.integers(of: arguments[2]), let strides = heap.integers(of: arguments[3]),
      shape.count == strides.count, shape.count <= maximumRank, (0..<Int.max / 2).contains(offset),
      (shape + strides).allSatisfy({ $0 >= 0 })
    else { throw PickleCalls.malformed(name) }
    var type = heap.storages[storage].type
    if name.hasSuffix("_v3") {
      guard arguments.count >= 7, case .global(let typeName) = arguments[6] else { throw PickleCalls.malformed(name) }
      guard let stated = TorchType(global: typeName) else { throw unknown(typeName) }
      type = stated
    }
    guard let type else { throw PickleCalls.malformed(name) }
    if let flags = arguments.dropFirst(name.hasSuffix("_v3") ? 7 : 6).first, let entries = heap.entries(of: flags),
      entries.contains(where: { if case .bool(true) = $0.value { true } else { false } })
    {
      throw Failure("its pickle", "cannot be read", "it holds a tensor that is to be conjugated or negated")
    }
    return heap.tensor(TorchView(storage: storage, type: type, offset: offset, shape: shape, strides: strides))
  }

  private static func unknown(_ type: String) -> Failure {
    Failure("its pickle", "cannot be read", "it holds a tensor of the unknown type '\(type)'")
  }

  /// The same view of the first mention of its storage: a file describes a storage anew for every tensor.
  func canonical(_ heap: PickleHeap) -> TorchView {
    let own = heap.storages[storage]
    return TorchView(
      storage: heap.firstMentions[own.key] ?? storage, type: type, offset: offset + own.start, shape: shape,
      strides: zip(shape, strides).map { $0 == 1 ? 0 : $1 })
  }

  /// The count of elements; nil where it is no number of 63 bits.
  private var count: Int? {
    // An empty axis makes the whole tensor empty, however long the others are.
    shape.contains(0)
      ? 0
      : shape.reduce(1 as Int?) { product, extent in
        product.flatMap { product in
          let (next, overflows) = product.multipliedReportingOverflow(by: extent)
          return overflows ? nil : next
        }
      }
  }

  /// The bytes of the tensor when it is written out; nil where they are too many to count.
  var byteCount: Int? {
    count.flatMap { count in
      let (bytes, overflows) = count.multipliedReportingOverflow(by: type.byteCount)
      return overflows ? nil : bytes
    }
  }

  /// The place after the last element that the view reaches, in elements; nil where it is no number of 63 bits.
  private var end: Int? {
    var last = offset
    for (extent, stride) in zip(shape, strides) {
      let (reach, overflows) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (next, overflowsToo) = last.addingReportingOverflow(reach)
      guard !overflows, !overflowsToo, next < Int.max else { return nil }
      last = next
    }
    return last + 1
  }

  /// The tensor's own bytes, in the order of its axes.
  ///
  /// - Parameter storage: The bytes of the storage, in the order of this machine's words unless `isSwapped`.
  /// - Throws: `Failure` about the tensor where it does not lie in the storage.
  func bytes(in storage: ArraySlice<UInt8>, isSwapped: Bool) throws -> [UInt8] {
    guard let count, count > 0 else { return [] }
    let width = type.byteCount
    guard let end, end <= storage.count / width else {
      throw Failure("", "is damaged", "it reaches beyond its storage of \(storage.count) bytes")
    }
    let begin = storage.startIndex + offset * width
    var bytes =
      isContiguous ? Array(storage[begin..<begin + count * width]) : gathered(storage, from: begin, count: count)
    if isSwapped { Self.swap(&bytes, wordByteCount: type.wordByteCount) }
    return bytes
  }

  /// Whether the elements lie one behind the other in the order of the axes.
  private var isContiguous: Bool {
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      guard stride == expected else { return false }
      expected *= extent
    }
    return true
  }

  /// The elements one by one, axis by axis.
  private func gathered(_ storage: ArraySlice<UInt8>, from begin: Int, count: Int) -> [UInt8] {
    let width = type.byteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * width)
    // An axis of one element has no neighbours, whatever it says of them.
    let steps = zip(shape, strides).map { $0 == 1 ? 0 : $1 * width }
    var index = Array(repeating: 0, count: shape.count)
    var place = begin
    for _ in 0..<count {
      for byte in place..<place + width { bytes.append(storage[byte]) }
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        place += steps[axis]
        if index[axis] < shape[axis] { break }
        place -= shape[axis] * steps[axis]
        index[axis] = 0
        axis -= 1
      }
    }
    return bytes
  }

  private static func swap(_ bytes: inout [UInt8], wordByteCount: Int) {
    guard wordByteCount > 1 else { return }
    for begin in stride(from: 0, to: bytes.count, by: wordByteCount) {
      bytes[begin..<begin + wordByteCount].reverse()
    }
  }
}

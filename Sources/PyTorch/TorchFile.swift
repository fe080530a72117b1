import Basics
import TensorCore
import ZIP

/// A file of `torch.save` as a tree of plain values, with the bytes of its storages.
struct TorchFile {
  private enum Container {
    case archive(TorchArchive)
    case legacy(TorchLegacyFile)
  }

  private let container: Container
  private let isSwapped: Bool
  /// What the file holds.
  let root: PickleValue
  let heap: PickleHeap
  private let byteCount: Int

  /// What tensors may take together for each byte of the file: views of a storage may repeat its elements.
  private static let maximumRatio = 16

  /// Whether bytes are those of such a file, as far as can be told from the outside.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    if bytes.starts(with: Array("PK".utf8)) { return (try? ZipArchive(bytes)).map { TorchArchive($0) != nil } ?? false }
    return TorchLegacyFile.isOne(bytes)
  }

  /// Reads a file.
  ///
  /// - Throws: `Failure` for the caller to add the path.
  init(_ bytes: [UInt8]) throws {
    byteCount = bytes.count
    guard bytes.starts(with: Array("PK".utf8)) else {
      guard TorchLegacyFile.isOne(bytes) else {
        throw Failure(
          "", "cannot be read", "torch.save did not write it", remedy: "save a state_dict() with torch.save")
      }
      let file = try TorchLegacyFile(bytes)
      (root, heap) = (file.value, file.heap)
      isSwapped = false
      container = .legacy(file)
      return
    }
    guard let archive = TorchArchive(try ZipArchive(bytes)) else {
      throw Failure(
        "", "cannot be read", "it is a ZIP archive without data.pkl", remedy: "save a state_dict() with torch.save")
    }
    guard !archive.isProgram else {
      throw Failure(
        "", "cannot be read", "it holds a program of TorchScript, and not a state dict",
        remedy: "torch.jit.load it and save its state_dict()")
    }
    let pickle = try archive.pickle()
    var machine = PickleMachine(pickle, at: pickle.startIndex)
    root = try machine.run()
    heap = machine.heap
    isSwapped = try archive.isBigEndian()
    container = .archive(archive)
  }

  /// The named tensors with their bytes, each storage looked up once.
  ///
  /// - Throws: `Failure` that names the tensor which cannot be read.
  func tensors(_ views: [(name: String, view: TorchView)]) throws -> [StoredTensor] {
    var storages: [String: ArraySlice<UInt8>] = [:]
    var room = byteCount.multipliedReportingOverflow(by: Self.maximumRatio).partialValue
    return try views.map { name, view in
      try Failure.within("tensor '\(name)'") {
        guard let dtype = view.type.stored else {
          throw Failure("", "cannot be read", "its type is \(view.type.rawValue), which safetensors files do not have")
        }
        guard let count = view.byteCount, count <= room, dtype.byteCount(of: view.shape) == count else {
          throw Failure("", "is damaged", "its shape \(view.shape) is too large for the file")
        }
        room -= count
        let storage = heap.storages[view.storage]
        let bytes = try storages[storage.key] ?? self.storage(storage)
        storages[storage.key] = bytes
        return StoredTensor(
          name: name, dtype: dtype, shape: view.shape,
          bytes: try view.bytes(in: try Self.part(storage, of: bytes), isSwapped: isSwapped))
      }
    }
  }

  private func storage(_ storage: PickleHeap.Storage) throws -> ArraySlice<UInt8> {
    switch container {
    case .archive(let archive): try archive.storage(storage.key)
    case .legacy(let file): try file.storage(storage.key)
    }
  }

  /// The bytes of a storage that may be a part of the stored one.
  private static func part(_ storage: PickleHeap.Storage, of bytes: ArraySlice<UInt8>) throws -> ArraySlice<UInt8> {
    let width = storage.type?.byteCount ?? 1
    let available = bytes.count / width
    guard storage.start <= available, storage.count <= available - storage.start else {
      throw Failure("", "is damaged", "its storage claims \(storage.count) elements, and the file holds \(available)")
    }
    let begin = bytes.startIndex + storage.start * width
    return bytes[begin..<begin + storage.count * width]
  }
}

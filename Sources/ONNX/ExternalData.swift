import Basics
import Foundation
import ONNXProto
import TensorCore

/// Where a tensor's bytes lie beside the model (ONNX, External Data).
struct ExternalData {
  let tensor: String
  let location: String
  let offset: Int
  let length: Int

  /// - Throws: `Failure` for a path that leads out of the model's folder, and for numbers that are none.
  init(_ proto: Onnx_TensorProto, byteCount: Int) throws {
    tensor = proto.name
    let entries = Dictionary(proto.externalData.map { ($0.key, $0.value) }) { first, _ in first }
    func failure(_ reason: String) -> Failure {
      Failure("tensor '\(proto.name)'", "cannot be read", reason, remedy: "expected a file beside the model")
    }
    guard let location = entries["location"], !location.isEmpty else { throw failure("it names no file for its data") }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    guard !location.hasPrefix("/"), !parts.contains(".."), !location.contains("\\"), !location.contains("\0") else {
      throw failure("its data are said to be in '\(location)', outside of the model's folder")
    }
    func number(_ key: String, _ fallback: Int) throws -> Int {
      guard let text = entries[key] else { return fallback }
      guard let value = Int(text), value >= 0 else { throw failure("its \(key) '\(text)' is no count of bytes") }
      return value
    }
    self.location = location
    offset = try number("offset", 0)
    length = try number("length", byteCount)
  }
}

/// The files beside a model that hold its tensors' bytes, each read once.
struct ExternalFiles {
  private var contents: [String: [UInt8]] = [:]
  /// The paths in the order of their first use.
  private(set) var order: [String] = []
  private var ranges: [String: [Range<Int>]] = [:]

  /// The bytes that the model refers to, each counted once.
  var byteCount: Int {
    ranges.values.reduce(0) { total, ranges in
      var (count, end) = (0, 0)
      for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where range.upperBound > end {
        count += range.upperBound - max(end, range.lowerBound)
        end = range.upperBound
      }
      return total + count
    }
  }

  /// The bytes of a range of a file.
  ///
  /// - Parameter readFile: Reads a file by its path relative to the model's folder.
  /// - Throws: `Failure` where the file cannot be read, or is shorter than the range says.
  mutating func bytes(of data: ExternalData, readFile: (String) throws -> [UInt8]) throws -> [UInt8] {
    let file = try contents[data.location] ?? readFile(data.location)
    if contents.updateValue(file, forKey: data.location) == nil { order.append(data.location) }
    let (end, overflow) = data.offset.addingReportingOverflow(data.length)
    guard !overflow, end <= file.count else {
      throw Failure(
        "tensor '\(data.tensor)'", "cannot be read",
        "its data end at byte \(data.offset) + \(data.length), and '\(data.location)' has \(file.count)")
    }
    ranges[data.location, default: []].append(data.offset..<end)
    return Array(file[data.offset..<end])
  }
}

extension Onnx_GraphProto {
  /// Puts the bytes that lie in other files into the graph, those of initialisers that are read apart: what is written is one
  /// file.
  ///
  /// - Throws: What `read` throws.
  mutating func takeIn(_ read: (ExternalData) throws -> [UInt8]) throws {
    for index in initializer.indices { try initializer[index].takeIn(read) }
    for index in sparseInitializer.indices {
      try sparseInitializer[index].values.takeIn(read)
      try sparseInitializer[index].indices.takeIn(read)
    }
    for index in node.indices {
      for place in node[index].attribute.indices {
        try node[index].attribute[place].takeIn(read)
      }
    }
  }
}

extension Onnx_AttributeProto {
  fileprivate mutating func takeIn(_ read: (ExternalData) throws -> [UInt8]) throws {
    if hasT { try t.takeIn(read) }
    if hasG { try g.takeIn(read) }
    for index in tensors.indices { try tensors[index].takeIn(read) }
    for index in graphs.indices { try graphs[index].takeIn(read) }
  }
}

extension Onnx_TensorProto {
  fileprivate mutating func takeIn(_ read: (ExternalData) throws -> [UInt8]) throws {
    guard dataLocation == .external, !externalData.isEmpty else { return }
    let byteCount = storedType?.byteCount(of: dims.map { Int($0) }) ?? 0
    rawData = Data(try read(try ExternalData(self, byteCount: byteCount)))
    clearDataLocation()
    externalData = []
  }
}

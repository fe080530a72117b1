import Basics

/// What an object of an HDF5 file, with everything below it, takes in the file that `HDF5File.write` makes.
package struct HDF5Size: Sendable, Equatable {
  /// The bytes of headers and arrays.
  var byteCount = 0
  /// The bytes of heaps that hold one long string each.
  var heapByteCount = 0
  /// How many arrays state `bfloat16` as text, which heaps of a fixed size hold.
  var brainFloatCount = 0

  static func + (a: HDF5Size, b: HDF5Size) -> HDF5Size {
    HDF5Size(
      byteCount: a.byteCount + b.byteCount, heapByteCount: a.heapByteCount + b.heapByteCount,
      brainFloatCount: a.brainFloatCount + b.brainFloatCount)
  }

  /// The bytes of a file with this object as its root.
  var fileByteCount: Int {
    let strings = (brainFloatCount + Self.brainFloatsPerHeap - 1) / Self.brainFloatsPerHeap
    return Self.superblock + byteCount + heapByteCount + strings * Self.smallestHeap
  }

  /// The superblock of version 2, with addresses of 8 bytes.
  private static let superblock = 48
  private static let smallestHeap = 4096
  /// The prefix of a heap, and of an object in it.
  private static let heapPrefix = 16
  /// A heap's prefix and, for each text of 8 bytes, its own prefix.
  private static let brainFloatsPerHeap = (smallestHeap - heapPrefix) / (heapPrefix + 8)

  /// The heap of one string that is longer than what an attribute holds itself.
  static func heap(ofString count: Int) -> Int {
    max(smallestHeap, 2 * heapPrefix + (count + 7) / 8 * 8)
  }
}

/// An attribute without its text: what decides about its size.
package enum HDF5AttributeSize: Sendable, Equatable {
  /// A scalar string of so many bytes.
  case string(byteCount: Int)
  /// A list of strings, of which the longest has so many bytes.
  case strings(count: Int, width: Int)
  /// The attribute has no elements.
  case empty

  /// - Precondition: the attribute can be written.
  package init(_ attribute: HDF5Attribute) {
    switch attribute {
    case .string(let text): self = .string(byteCount: text.utf8.count)
    case .strings(let texts) where !texts.isEmpty:
      self = .strings(count: texts.count, width: texts.map(\.utf8.count).max() ?? 0)
    case .strings, .empty: self = .empty
    case .unsupported: preconditionFailure("an attribute of an unknown type has no size")
    }
  }

  /// Refuses what the header of an object does not hold; the library would store it in another form.
  ///
  /// - Throws: `Failure` for a list of strings that is too long.
  func check(_ name: String) throws {
    guard case .strings(let count, let width) = self, count * max(1, width) > HDF5Writer.largestList else {
      return
    }
    throw Failure(
      "attribute '\(name)'", "cannot be written", "\(count) strings of \(width) bytes are more than an attribute holds",
      remedy: "expected at most \(HDF5Writer.largestList) bytes")
  }

  /// The string that lies in a heap of its own; nil where there is none.
  var heapString: Int? {
    guard case .string(let count) = self, count > HDF5Writer.largestFixedString else { return nil }
    return count
  }

  /// The content of the attribute's message.
  ///
  /// - Parameter name: the bytes of the attribute's name.
  func messageSize(name: Int) -> Int {
    let (type, rank, data): (Int, Int, Int) =
      switch self {
      case .string where heapString != nil: (HDF5MessageSize.variableString, 0, HDF5MessageSize.heapReference)
      case .string(let count): (HDF5MessageSize.fixedString, 0, max(1, count))
      case .strings(let count, let width): (HDF5MessageSize.fixedString, 1, count * max(1, width))
      case .empty: (HDF5MessageSize.type(.float(bits: 64)), 1, 0)
      }
    return HDF5MessageSize.attribute(name: name, type: type, rank: rank, data: data)
  }
}

/// The contents of the messages in an object header, in bytes.
///
/// Source: "HDF5 File Format Specification Version 3.0", section IV.A.2.
enum HDF5MessageSize {
  /// Where links lie if there are very many (link info), and the same for attributes (attribute info).
  static let linkInfo = 18
  static let attributeInfo = 18
  /// Fill value of version 3, not defined.
  static let fillValue = 2
  /// Layout of version 3: an address and a size.
  static let contiguousLayout = 18
  /// The filters of version 2: their count, and deflate with its flags and its level.
  static let deflate = 2 + 6 + 4

  /// The length of a compressed chunk and which filters it left out.
  static let compressedChunk = 8 + 4

  /// Layout of version 4: the extents of one compressed chunk and of an element, all in as few bytes as the largest needs, the chunk's length,
  /// which filters it left out, and its address.
  static func chunkLayout(_ shape: [Int]) -> Int {
    let largest = shape.max() ?? 1
    let width = (Int.bitWidth - largest.leadingZeroBitCount + 7) / 8
    return 5 + (shape.count + 1) * width + 1 + compressedChunk + 8
  }
  static let fixedString = 8
  /// A sequence of characters.
  static let variableString = 8 + 12
  /// A length, a heap's address and a place in it.
  static let heapReference = 16

  /// Group info: the limits on links, and the estimates unless they are the usual ones.
  static func groupInfo(linkCount: Int, nameLength: Int) -> Int {
    2 + 4 + (linkCount == 4 && nameLength == 8 ? 0 : 4)
  }

  /// A hard link, whose name's length is stated in as few bytes as possible.
  static func link(name: Int) -> Int { 1 + 1 + (name > 0xFFFF ? 4 : name > 0xFF ? 2 : 1) + name + 8 }

  /// Every extent twice, for the library states how far each may grow.
  static func space(rank: Int) -> Int { 4 + 16 * rank }

  /// Datatype of version 3.
  ///
  /// - Precondition: the type is supported.
  static func type(_ type: HDF5ElementType) -> Int {
    switch type {
    case .float, .byteFloat: return 8 + 12
    case .signed, .unsigned: return 8 + 4
    case .brainFloat: return 8
    // On integers of one byte: both names with their ends, and both values.
    case .boolean: return 8 + (8 + 4) + "FALSE".utf8.count + "TRUE".utf8.count + 2 + 2
    case .unsupported(let kind): preconditionFailure("\(kind) has no size")
    }
  }

  /// Attribute of version 3: the name with its end, the type, the space and the data.
  static func attribute(name: Int, type: Int, rank: Int, data: Int) -> Int {
    9 + name + 1 + type + space(rank: rank) + data
  }
}

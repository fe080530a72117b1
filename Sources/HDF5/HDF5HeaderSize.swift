/// The object header of one group or dataset as the library lays it out, without its contents: where every message stands and
/// what all chunks of the header take.
///
/// The library puts a message into the smallest free space that holds it. Where there is none, it lengthens the last chunk
/// if that chunk ends the file, and otherwise makes another chunk, to which a message of an older chunk must point. The
/// steps are those of `H5O__alloc` in HDF5 1.10; the forms of header and messages are in "HDF5 File Format Specification
/// Version 3.0", sections IV.A.1.b and IV.A.2.
struct HDF5HeaderSize {
  enum Kind { case free, attribute, continuation, other, gone }

  private struct Message {
    var kind: Kind
    var chunk: Int
    /// Where the message's content begins, from the first byte behind the chunk's prefix.
    var offset: Int
    /// The size of the content in bytes.
    var size: Int

    var end: Int { offset + size }
    /// Where the message's own prefix begins.
    var start: Int { offset - messagePrefix }
    /// Tells the place where the message begins, and the one where it ends, from all others of the header.
    var startKey: Int { chunk << 40 | start }
    var endKey: Int { chunk << 40 | end }

    func isIn(_ chunk: Int) -> Bool { self.chunk == chunk && kind != .gone }
  }

  private struct Chunk {
    /// The bytes between the chunk's prefix and its checksum.
    var size: Int
    /// The bytes at the end that are too few for a message.
    var gap = 0

    var end: Int { size - gap }
  }

  /// The type, the size and the flags of a message.
  static let messagePrefix = 4
  /// The bytes that frame a chunk that is not the first: its signature and its checksum.
  private static let chunkFrame = 8
  /// An address and a length.
  static let continuationSize = 16
  /// Room for the prefix and the content of a continuation message, and two bytes.
  private static let smallestChunk = 22

  private var chunks: [Chunk]
  /// The messages, in the order of the library's table, in which a message takes the place of the free space that it fills.
  private var messages: [Message]
  /// The places in `messages` of all free spaces, in order.
  private var free: [Int] = [0]
  /// The width of the number that states the first chunk's size.
  private var widthBytes: Int
  private let storesAttributeLimits: Bool
  /// The chunk that ends the file; nil where something else does.
  private var lastChunk: Int? = 0

  /// - Parameters:
  ///   - room: the bytes that the first chunk shall have for messages.
  ///   - storesAttributeLimits: whether the header says how many attributes it may hold.
  init(room: Int, storesAttributeLimits: Bool) {
    let size = max(Self.smallestChunk, room)
    chunks = [Chunk(size: size)]
    messages = [Message(kind: .free, chunk: 0, offset: Self.messagePrefix, size: size - Self.messagePrefix)]
    widthBytes = Self.width(of: size)
    self.storesAttributeLimits = storesAttributeLimits
  }

  /// The bytes of all chunks.
  var byteCount: Int {
    // Signature, version, flags and checksum.
    let prefix = 10 + widthBytes + (storesAttributeLimits ? 4 : 0)
    return prefix + chunks.reduce((chunks.count - 1) * Self.chunkFrame) { $0 + $1.size }
  }

  /// Something else is written at the end of the file.
  mutating func isFollowed() { lastChunk = nil }

  /// Adds a message.
  ///
  /// - Returns: whether it took another chunk, which then ends the file.
  @discardableResult
  mutating func add(_ kind: Kind, size: Int) -> Bool {
    if let place = bestFree(size) {
      fill(place, kind, size)
      return false
    }
    if let lastChunk {
      fill(lengthen(lastChunk, by: size), kind, size)
      return false
    }
    fill(addChunk(size), kind, size)
    return true
  }

  // MARK: The library's steps

  /// The free space that the library chooses for a content of this size: the smallest, but one that fits exactly gives way to
  /// a larger one that was found before in the same chunk or an earlier one.
  private func bestFree(_ size: Int) -> Int? {
    var best: Int?
    for place in free where messages[place].size >= size {
      guard let known = best else {
        best = place
        continue
      }
      let (new, old) = (messages[place], messages[known])
      if new.size == size {
        if new.chunk < old.chunk { best = place }
      } else if (new.size, new.chunk) < (old.size, old.chunk) {
        best = place
      }
    }
    return best
  }

  /// Puts a message into a free space; what is left of it is a free space or a gap.
  private mutating func fill(_ place: Int, _ kind: Kind, _ size: Int) {
    let rest = messages[place].size - size
    let chunk = messages[place].chunk
    free.removeAll { $0 == place }
    messages[place].kind = kind
    messages[place].size = size
    if rest >= Self.messagePrefix {
      messages.append(
        Message(
          kind: .free, chunk: chunk, offset: messages[place].end + Self.messagePrefix, size: rest - Self.messagePrefix))
      free.append(messages.count - 1)
      if chunks[chunk].gap > 0 {
        closeGap(at: chunks[chunk].end, chunks[chunk].gap, into: messages.count - 1)
      }
    } else if rest > 0 {
      addGap(in: chunk, at: messages[place].end, rest)
    }
  }

  /// Bytes that no message can use join a free space of the chunk, else the end of the chunk.
  private mutating func addGap(in chunk: Int, at start: Int, _ count: Int) {
    if let place = free.first(where: { messages[$0].chunk == chunk }) {
      return closeGap(at: start, count, into: place)
    }
    for place in messages.indices where messages[place].isIn(chunk) && messages[place].offset > start {
      messages[place].offset -= count
    }
    let gap = chunks[chunk].gap + count
    guard gap >= Self.messagePrefix else {
      chunks[chunk].gap = gap
      return
    }
    let size = gap - Self.messagePrefix
    chunks[chunk].gap = 0
    messages.append(Message(kind: .free, chunk: chunk, offset: chunks[chunk].size - size, size: size))
    free.append(messages.count - 1)
  }

  /// Moves the messages between a gap and a free space, so that the space takes up the gap.
  private mutating func closeGap(at start: Int, _ count: Int, into place: Int) {
    let space = messages[place]
    let isBefore = space.offset < start
    let moved = isBefore ? space.end..<max(start, space.end) : start + count..<max(start + count, space.start)
    for other in messages.indices
    where messages[other].isIn(space.chunk) && other != place && moved.contains(messages[other].start) {
      messages[other].offset += isBefore ? count : -count
    }
    if !isBefore { messages[place].offset -= count }
    messages[place].size += count
    chunks[space.chunk].gap = 0
  }

  /// Lengthens the chunk that ends the file.
  ///
  /// - Returns: the place of a free space of this size at its end.
  private mutating func lengthen(_ chunk: Int, by size: Int) -> Int {
    let (oldSize, gap) = (chunks[chunk].size, chunks[chunk].gap)
    let place = free.first { messages[$0].chunk == chunk && messages[$0].end == chunks[chunk].end }
    let growth = place.map { size - messages[$0].size } ?? size + Self.messagePrefix - gap
    chunks[chunk] = Chunk(size: oldSize + growth)
    if chunk == 0 { widthBytes = max(widthBytes, Self.width(of: oldSize + growth)) }
    if let place {
      messages[place].size += growth
      return place
    }
    messages.append(Message(kind: .free, chunk: chunk, offset: oldSize - gap + Self.messagePrefix, size: size))
    free.append(messages.count - 1)
    return messages.count - 1
  }

  /// Makes another chunk at the end of the file.
  ///
  /// - Returns: the place of a free space of this size in it.
  private mutating func addChunk(_ size: Int) -> Int {
    let chunk = chunks.count
    var pointer = bestFree(Self.continuationSize)
    var used = 0
    if pointer == nil {
      // A message moves to the new chunk and leaves its space to the pointer.
      let moved = cheapestToMove()
      used = Self.messagePrefix + messages[moved].size
      pointer = leave(moved, for: chunk)
    }
    guard let pointer else { preconditionFailure("no message makes room for a pointer to the next chunk") }
    let total = max(Self.smallestChunk, used + size + Self.messagePrefix)
    chunks.append(Chunk(size: total))
    messages.append(
      Message(
        kind: .free, chunk: chunk, offset: used + Self.messagePrefix, size: total - used - Self.messagePrefix))
    free.append(messages.count - 1)
    let place = messages.count - 1
    fill(pointer, .continuation, Self.continuationSize)
    lastChunk = chunk
    return place
  }

  /// Moves a message to the start of a chunk.
  ///
  /// - Returns: the place of the free space that it leaves.
  private mutating func leave(_ moved: Int, for chunk: Int) -> Int {
    var space = messages[moved]
    space.kind = .free
    if let next = free.first(where: { messages[$0].chunk == space.chunk && messages[$0].start == space.end }) {
      space.size += Self.messagePrefix + messages[next].size
      messages[next].kind = .gone
      free.removeAll { $0 == next }
    } else if space.end == chunks[space.chunk].end {
      space.size += chunks[space.chunk].gap
      chunks[space.chunk].gap = 0
    }
    messages[moved].chunk = chunk
    messages[moved].offset = Self.messagePrefix
    messages.append(space)
    free.append(messages.count - 1)
    return messages.count - 1
  }

  /// The message with the least space that still holds a pointer; an attribute only as long as nothing else is found.
  private func cheapestToMove() -> Int {
    var following: [Int: Int] = [:]
    for place in free { following[messages[place].startKey] = messages[place].size + Self.messagePrefix }
    var best: (place: Int, space: Int)?
    for (place, message) in messages.enumerated() where message.kind != .continuation && message.kind != .gone {
      let rest =
        message.end == chunks[message.chunk].end ? chunks[message.chunk].gap : following[message.endKey] ?? 0
      let space = message.size + rest
      guard space >= Self.continuationSize else { continue }
      guard let known = best else {
        best = (place, space)
        continue
      }
      let old = messages[known.place]
      if (old.kind == .attribute && message.kind != .attribute)
        || (space, message.chunk) < (known.space, old.chunk)
      {
        best = (place, space)
      }
    }
    guard let best else { preconditionFailure("a header without a message of \(Self.continuationSize) bytes") }
    return best.place
  }

  private static func width(of size: Int) -> Int {
    size > 0xFFFF_FFFF ? 8 : size > 0xFFFF ? 4 : size > 0xFF ? 2 : 1
  }
}

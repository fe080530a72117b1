import Basics

/// A group or dataset with everything below it as sizes: what `HDF5File.write` makes of the same tree takes exactly
/// `fileByteCount`, and after a change only the groups on the way to it are counted again.
package struct HDF5SizeTree: Sendable {
  /// A member of a group, in the order of the names.
  private struct Member: Sendable {
    let name: String
    var tree: HDF5SizeTree
  }

  private enum Content: Sendable {
    case group([Member])
    case dataset(shape: [Int], type: HDF5ElementType)
  }

  private var content: Content
  /// The attributes, in the order of their names.
  private var attributes: [(name: String, size: HDF5AttributeSize)] = []
  /// Where the object's header ends the file when its attributes are written, and where something follows it.
  private var known: (last: HDF5Size?, followed: HDF5Size?) = (nil, nil)

  /// A group without members.
  package init() { content = .group([]) }

  /// - Precondition: no unsupported attribute or element type in the tree.
  package init(_ group: HDF5Group) {
    let members =
      group.groups.filter { group.datasets[$0.key] == nil }.map { Member(name: $0.key, tree: HDF5SizeTree($0.value)) }
      + group.datasets.map { Member(name: $0.key, tree: HDF5SizeTree($0.value)) }
    content = .group(members.sorted { $0.name < $1.name })
    attributes = group.attributes.sorted { $0.key < $1.key }.map { ($0.key, HDF5AttributeSize($0.value)) }
  }

  /// What an array takes in a file with its header, wherever it stands.
  ///
  /// - Precondition: the element type is supported, and no `brainFloat`, of which several share a text.
  package static func byteCount(of shape: [Int], _ type: HDF5ElementType) -> Int {
    precondition(type != .brainFloat, "what an array of bfloat16 takes depends on others")
    return arraySize(shape, type, isFollowed: true).byteCount
  }

  /// - Precondition: the element type is supported.
  package init(_ dataset: HDF5Dataset) {
    content = .dataset(shape: dataset.shape, type: dataset.type)
    if dataset.type == .brainFloat { attributes = [("dtype", .string(byteCount: 8))] }
  }

  /// The bytes of a file with this group as its root. Counts what has changed since the last time.
  ///
  /// - Throws: `Failure` where a group has more in it than `HDF5File.write` writes.
  package mutating func fileByteCount() throws -> Int { try size(isFollowed: false).fileByteCount }
}

// MARK: Changing

extension HDF5SizeTree {
  /// Sets an attribute of this group; nil removes it.
  package mutating func set(_ name: String, _ size: HDF5AttributeSize?) {
    known = (nil, nil)
    attributes.removeAll { $0.name == name }
    guard let size else { return }
    attributes.insert((name, size), at: attributes.firstIndex { name < $0.name } ?? attributes.count)
  }

  /// The member of this group with a name; setting one puts it in its place among the others, setting nil removes it.
  package subscript(_ name: String) -> HDF5SizeTree? {
    get {
      guard case .group(let members) = content else { return nil }
      let place = Self.place(of: name, in: members)
      return place < members.count && members[place].name == name ? members[place].tree : nil
    }
    set {
      guard case .group(var members) = content else { preconditionFailure("an array has no member '\(name)'") }
      content = .group([])
      known = (nil, nil)
      let place = Self.place(of: name, in: members)
      let isThere = place < members.count && members[place].name == name
      if let newValue {
        if isThere {
          members[place].tree = newValue
        } else {
          members.insert(Member(name: name, tree: newValue), at: place)
        }
      } else if isThere {
        members.remove(at: place)
      }
      content = .group(members)
    }
  }

  /// Changes the group at a path below this one, which is made where there is none. One that is left without members and
  /// attributes is removed.
  package mutating func edit(_ path: some Collection<Substring>, _ body: (inout HDF5SizeTree) -> Void) {
    guard let first = path.first else { return body(&self) }
    guard case .group(var members) = content else { preconditionFailure("an array has no member '\(first)'") }
    // Without a second owner, a change copies nothing.
    content = .group([])
    known = (nil, nil)
    let name = String(first)
    let place = Self.place(of: name, in: members)
    if place == members.count || members[place].name != name {
      members.insert(Member(name: name, tree: HDF5SizeTree()), at: place)
    }
    members[place].tree.edit(path.dropFirst(), body)
    if members[place].tree.isEmpty { members.remove(at: place) }
    content = .group(members)
  }

  private var isEmpty: Bool {
    guard case .group(let members) = content else { return false }
    return members.isEmpty && attributes.isEmpty
  }

  /// The first place whose name does not come before this one.
  private static func place(of name: String, in members: [Member]) -> Int {
    var range = members.indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if members[middle].name < name {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return range.lowerBound
  }
}

// MARK: Counting

extension HDF5SizeTree {
  /// - Parameter isFollowed: whether something stands behind the object's header before its attributes are written.
  private mutating func size(isFollowed: Bool) throws -> HDF5Size {
    if let size = isFollowed ? known.followed : known.last { return size }
    let size = try counted(isFollowed)
    if attributes.isEmpty {
      known = (size, size)
    } else if isFollowed {
      known.followed = size
    } else {
      known.last = size
    }
    return size
  }

  private mutating func counted(_ isFollowed: Bool) throws -> HDF5Size {
    switch content {
    case .dataset(let shape, let type): return Self.arraySize(shape, type, isFollowed: isFollowed)
    case .group(var members):
      let estimates = try HDF5Estimates(names: members.map(\.name), attributeCount: attributes.count)
      let info = HDF5MessageSize.groupInfo(linkCount: estimates.count, nameLength: estimates.nameLength)
      var header = HDF5HeaderSize(
        room: HDF5MessageSize.linkInfo + info + 2 * HDF5HeaderSize.messagePrefix
          + estimates.count * (HDF5MessageSize.link(name: 0) + estimates.nameLength + HDF5HeaderSize.messagePrefix),
        storesAttributeLimits: attributes.count > HDF5Writer.usualAttributeCount)
      header.add(.other, size: HDF5MessageSize.linkInfo)
      header.add(.other, size: info)
      if isFollowed { header.isFollowed() }
      var total = HDF5Size()
      if !attributes.isEmpty { header.add(.other, size: HDF5MessageSize.attributeInfo) }
      for (name, attribute) in attributes {
        try attribute.check(name)
        header.add(.attribute, size: attribute.messageSize(name: name.utf8.count))
        guard let count = attribute.heapString else { continue }
        total.heapByteCount += HDF5Size.heap(ofString: count)
        header.isFollowed()
      }
      content = .group([])
      defer { content = .group(members) }
      for place in members.indices {
        // The member's own header stands at the end by now.
        header.isFollowed()
        let isFollowed = header.add(.other, size: HDF5MessageSize.link(name: members[place].name.utf8.count))
        total = total + (try members[place].tree.size(isFollowed: isFollowed))
      }
      total.byteCount += header.byteCount
      return total
    }
  }

  /// What the library reserves for the messages of an array's header: for a type that states another one in an attribute what it reserves for
  /// all that may have attributes, else what the messages take, with a pointer to more of them. It does not know yet that a chunk will be compressed.
  private static func arrayRoom(_ type: HDF5ElementType, _ messages: [Int]) -> Int {
    guard type != .brainFloat else { return 256 }
    let prefix = HDF5HeaderSize.messagePrefix
    let known = messages.reduce(0) { $0 + prefix + $1 } + prefix + HDF5HeaderSize.continuationSize
    return known - (type.isCoded ? HDF5MessageSize.compressedChunk : 0)
  }

  private static func arraySize(_ shape: [Int], _ type: HDF5ElementType, isFollowed: Bool) -> HDF5Size {
    guard let byteCount = type.byteCount(of: shape) else {
      preconditionFailure("an element of \(type) has no size")
    }
    let layout =
      type.isCoded ? [HDF5MessageSize.deflate, HDF5MessageSize.chunkLayout(shape)] : [HDF5MessageSize.contiguousLayout]
    let messages =
      [HDF5MessageSize.space(rank: shape.count), HDF5MessageSize.type(type), HDF5MessageSize.fillValue] + layout
    var header = HDF5HeaderSize(room: arrayRoom(type, messages), storesAttributeLimits: false)
    for size in messages { header.add(.other, size: size) }
    if isFollowed { header.isFollowed() }
    if type == .brainFloat {
      header.add(.other, size: HDF5MessageSize.attributeInfo)
      header.add(
        .attribute,
        size: HDF5MessageSize.attribute(
          name: "dtype".utf8.count, type: HDF5MessageSize.variableString, rank: 0,
          data: HDF5MessageSize.heapReference))
    }
    return HDF5Size(byteCount: header.byteCount + byteCount, brainFloatCount: type == .brainFloat ? 1 : 0)
  }
}

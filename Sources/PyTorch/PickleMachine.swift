import Basics
import TensorCore

/// Reads a pickle of any protocol from 0 to 5 as plain values. Nothing is imported, made or called: the few functions that PyTorch's state dicts
/// use are known by name (`PickleCalls`), calls of anything else are refused, and objects of other classes stay names with a state.
///
/// Source: CPython, `Lib/pickletools.py`; what is admitted: PyTorch, `torch/_weights_only_unpickler.py`.
struct PickleMachine {
  private var reader: PickleReader
  private var stack: [PickleValue] = []
  /// The heights of the stack at its marks.
  private var marks: [Int] = []
  private var memo: [UInt64: PickleValue] = [:]
  private(set) var heap = PickleHeap()

  /// - Parameter offset: Where in the bytes the pickle begins.
  init(_ bytes: ArraySlice<UInt8>, at offset: Int) { reader = PickleReader(bytes: bytes, position: offset) }

  /// Where the pickle ends, once it has been read.
  var end: Int { reader.position }

  /// Reads to the end of the pickle.
  ///
  /// - Throws: `Failure` about the pickle, for the caller to add the path.
  mutating func run() throws -> PickleValue {
    while true {
      let code = try reader.byte()
      if code == UInt8(ascii: ".") { return try pop() }
      if try readsScalar(code) || readsContainer(code) || changesContainer(code) || readsMemo(code) { continue }
      try callsByName(code)
    }
  }

  // MARK: Numbers and texts

  private mutating func readsScalar(_ code: UInt8) throws -> Bool {
    switch code {
    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.bool(true))
    case 0x89: stack.append(.bool(false))
    case UInt8(ascii: "J"): stack.append(.integer(try reader.int32()))
    case UInt8(ascii: "K"): stack.append(.integer(Int(try reader.number(1))))
    case UInt8(ascii: "M"): stack.append(.integer(Int(try reader.number(2))))
    case UInt8(ascii: "I"), UInt8(ascii: "L"): stack.append(Self.number(try reader.line()))
    case 0x8A: stack.append(Self.number(try reader.take(try reader.number(1))))
    case 0x8B: stack.append(Self.number(try reader.take(try reader.number(4))))
    case UInt8(ascii: "F"): stack.append(Double(try reader.line()).map(PickleValue.real) ?? .unread)
    case UInt8(ascii: "G"): stack.append(.real(Double(bitPattern: try reader.number(8).byteSwapped)))
    case UInt8(ascii: "S"): stack.append(.text(Self.unquoted(try reader.line())))
    case UInt8(ascii: "V"): stack.append(.text(try reader.line()))
    case UInt8(ascii: "X"), UInt8(ascii: "T"): try appendText(width: 4)
    case 0x8C, UInt8(ascii: "U"): try appendText(width: 1)
    case 0x8D: try appendText(width: 8)
    case UInt8(ascii: "C"): try appendBytes(width: 1)
    case UInt8(ascii: "B"): try appendBytes(width: 4)
    case 0x8E, 0x96: try appendBytes(width: 8)
    default: return false
    }
    return true
  }

  private mutating func appendText(width: Int) throws {
    stack.append(.text(String(decoding: try reader.take(try reader.number(width)), as: UTF8.self)))
  }

  private mutating func appendBytes(width: Int) throws {
    stack.append(.bytes(Array(try reader.take(try reader.number(width)))))
  }

  /// `12`, `12L` and the old `01` for true.
  private static func number(_ line: String) -> PickleValue {
    if line == "00" || line == "01" { return .bool(line == "01") }
    return Int(line.hasSuffix("L") ? String(line.dropLast()) : line).map(PickleValue.integer) ?? .unread
  }

  /// A little-endian number in two's complement.
  private static func number(_ bytes: ArraySlice<UInt8>) -> PickleValue {
    guard bytes.count <= 8 else { return .unread }
    let isNegative = bytes.last.map { $0 >= 0x80 } ?? false
    let bits = bytes.reversed().reduce(isNegative ? UInt64.max : 0) { $0 << 8 | UInt64($1) }
    return .integer(Int(Int64(bitPattern: bits)))
  }

  private static func unquoted(_ line: String) -> String {
    line.count >= 2 && line.first == line.last ? String(line.dropFirst().dropLast()) : line
  }

  // MARK: Containers

  private mutating func readsContainer(_ code: UInt8) throws -> Bool {
    switch code {
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: ")"), UInt8(ascii: "]"), 0x8F: stack.append(heap.sequence([]))
    case UInt8(ascii: "t"), UInt8(ascii: "l"), 0x91: stack.append(heap.sequence(try popMark()))
    case 0x85: stack.append(heap.sequence(try pop(1)))
    case 0x86: stack.append(heap.sequence(try pop(2)))
    case 0x87: stack.append(heap.sequence(try pop(3)))
    case UInt8(ascii: "}"): stack.append(heap.dictionary())
    case UInt8(ascii: "d"):
      let items = try popMark()
      stack.append(heap.dictionary())
      try set(items)
    case UInt8(ascii: "0"):
      // What pops at a mark takes the mark.
      if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case UInt8(ascii: "1"): _ = try popMark()
    case UInt8(ascii: "2"): stack.append(try top())
    default: return false
    }
    return true
  }

  private mutating func changesContainer(_ code: UInt8) throws -> Bool {
    switch code {
    case UInt8(ascii: "a"): try add(try pop(1))
    case UInt8(ascii: "e"), 0x90: try add(try popMark())
    case UInt8(ascii: "s"): try set(try pop(2))
    case UInt8(ascii: "u"): try set(try popMark())
    case UInt8(ascii: "b"):
      let state = try pop()
      // The attributes of dictionaries and tensors are none of their content.
      if case .object(let place) = try top() { heap.objects[place].state = state }
    default: return false
    }
    return true
  }

  private mutating func add(_ items: [PickleValue]) throws {
    switch try top() {
    case .sequence(let place): heap.sequences[place] += items
    case .object: break
    case .none, .bool, .integer, .real, .text, .bytes, .unread, .global, .dictionary, .storage, .tensor:
      throw PickleReader.damaged("it appends to what is no list")
    }
  }

  private mutating func set(_ items: [PickleValue]) throws {
    guard items.count % 2 == 0 else { throw PickleReader.damaged("a key has no value") }
    switch try top() {
    case .dictionary(let place):
      for i in stride(from: 0, to: items.count, by: 2) { heap.dictionaries[place].append((items[i], items[i + 1])) }
    case .object: break
    case .none, .bool, .integer, .real, .text, .bytes, .unread, .global, .sequence, .storage, .tensor:
      throw PickleReader.damaged("it sets a key of what is no dictionary")
    }
  }

  // MARK: The memo

  private mutating func readsMemo(_ code: UInt8) throws -> Bool {
    switch code {
    case UInt8(ascii: "p"): try remember(UInt64(try reader.line()))
    case UInt8(ascii: "q"): try remember(try reader.number(1))
    case UInt8(ascii: "r"): try remember(try reader.number(4))
    case 0x94: try remember(UInt64(memo.count))
    case UInt8(ascii: "g"): try recall(UInt64(try reader.line()))
    case UInt8(ascii: "h"): try recall(try reader.number(1))
    case UInt8(ascii: "j"): try recall(try reader.number(4))
    default: return false
    }
    return true
  }

  private mutating func remember(_ place: UInt64?) throws {
    guard let place else { throw PickleReader.damaged("it remembers a value at no place") }
    memo[place] = try top()
  }

  private mutating func recall(_ place: UInt64?) throws {
    guard let value = place.flatMap({ memo[$0] }) else { throw PickleReader.damaged("it recalls what it never had") }
    stack.append(value)
  }

  // MARK: Names and calls

  private mutating func callsByName(_ code: UInt8) throws {
    switch code {
    case 0x80:
      let version = try reader.byte()
      guard version <= 5 else {
        throw Failure("its pickle", "cannot be read", "its protocol is \(version)", remedy: "expected 0 to 5")
      }
    case 0x95: _ = try reader.number(8)
    case UInt8(ascii: "c"): stack.append(.global(PickleCalls.modern(try reader.line(), try reader.line())))
    case 0x93:
      let names = try pop(2)
      guard case .text(let module) = names[0], case .text(let name) = names[1] else {
        throw PickleReader.damaged("a name is no text")
      }
      stack.append(.global(PickleCalls.modern(module, name)))
    case UInt8(ascii: "R"):
      let arguments = try popArguments()
      stack.append(try PickleCalls.result(of: try popName(), arguments, &heap))
    case 0x81, 0x92:
      if code == 0x92 { _ = try pop() }
      let arguments = try popArguments()
      stack.append(try PickleCalls.object(of: try popName(), arguments, &heap))
    case UInt8(ascii: "i"):
      let name = PickleCalls.modern(try reader.line(), try reader.line())
      stack.append(try PickleCalls.result(of: name, try popMark(), &heap))
    case UInt8(ascii: "o"):
      let items = try popMark()
      guard case .global(let name)? = items.first else { throw PickleReader.damaged("it calls what is no name") }
      stack.append(try PickleCalls.result(of: name, Array(items.dropFirst()), &heap))
    case UInt8(ascii: "Q"): stack.append(try PickleCalls.storage(try pop(), &heap))
    case UInt8(ascii: "P"):
      throw Failure(
        "its pickle", "cannot be read", "protocol 0 has no way to refer to storages", remedy: "save it with protocol 2")
    case 0x82, 0x83, 0x84:
      throw Failure("its pickle", "cannot be read", "it uses the registry of extensions, which is not in the file")
    case 0x97, 0x98: throw Failure("its pickle", "cannot be read", "a part of it lies outside the file")
    default: throw PickleReader.damaged("it has the unknown instruction \(code)")
    }
  }

  private mutating func popArguments() throws -> [PickleValue] {
    guard let arguments = heap.items(of: try pop()) else { throw PickleReader.damaged("arguments are no tuple") }
    return arguments
  }

  private mutating func popName() throws -> String {
    guard case .global(let name) = try pop() else { throw PickleReader.damaged("it calls what is no name") }
    return name
  }

  // MARK: The stack

  /// What may be taken from the stack ends at the last mark.
  private var floor: Int { marks.last ?? 0 }

  private func top() throws -> PickleValue {
    guard stack.count > floor, let value = stack.last else { throw PickleReader.damaged("its stack is empty") }
    return value
  }

  private mutating func pop() throws -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func pop(_ count: Int) throws -> [PickleValue] {
    guard stack.count - floor >= count else { throw PickleReader.damaged("its stack is empty") }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popMark() throws -> [PickleValue] {
    guard let mark = marks.popLast() else { throw PickleReader.damaged("it has no mark") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }
}

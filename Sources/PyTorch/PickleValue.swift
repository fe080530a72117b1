/// What a pickle stands for, without anything having been made or called.
///
/// Containers lie in a `PickleHeap` and are referred to by their places there: pickles may share them, nest them without end and close circles.
enum PickleValue: Sendable {
  case none
  case bool(Bool)
  case integer(Int)
  case real(Double)
  case text(String)
  case bytes([UInt8])
  /// A value of some type that nobody here reads: a device, a complex number, a number of more than 64 bits.
  case unread
  /// A class or a function by its module and name, `collections.OrderedDict` say.
  case global(String)
  /// A place in `PickleHeap.sequences`: a tuple, a list or a set.
  case sequence(Int)
  /// A place in `PickleHeap.dictionaries`.
  case dictionary(Int)
  /// A place in `PickleHeap.objects`.
  case object(Int)
  /// A place in `PickleHeap.storages`.
  case storage(Int)
  /// A place in `PickleHeap.tensors`.
  case tensor(Int)
}

/// The containers of a pickle.
struct PickleHeap: Sendable {
  /// An object of a class that is not admitted: only its name and its state are known.
  struct Object: Sendable {
    let className: String
    var state = PickleValue.none
  }

  /// A storage as the pickle describes it.
  struct Storage: Sendable, Equatable {
    /// The name of the storage in the file.
    let key: String
    /// Nil for untyped storages, whose tensors state their types.
    let type: TorchType?
    /// The count of elements; of bytes where there is no type.
    let count: Int
    /// Where a storage that is a part of another one begins there, in elements.
    var start = 0
  }

  var sequences: [[PickleValue]] = []
  /// Keys and values in the order of their setting; of equal keys the last counts.
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  var objects: [Object] = []
  private(set) var storages: [Storage] = []
  var tensors: [TorchView] = []
  /// The place of the first storage of each key.
  private(set) var firstMentions: [String: Int] = [:]

  mutating func storage(_ storage: Storage) -> PickleValue {
    storages.append(storage)
    if firstMentions[storage.key] == nil { firstMentions[storage.key] = storages.count - 1 }
    return .storage(storages.count - 1)
  }

  mutating func sequence(_ items: [PickleValue]) -> PickleValue {
    sequences.append(items)
    return .sequence(sequences.count - 1)
  }

  mutating func dictionary() -> PickleValue {
    dictionaries.append([])
    return .dictionary(dictionaries.count - 1)
  }

  mutating func object(_ className: String) -> PickleValue {
    objects.append(Object(className: className))
    return .object(objects.count - 1)
  }

  mutating func tensor(_ view: TorchView) -> PickleValue {
    tensors.append(view)
    return .tensor(tensors.count - 1)
  }

  /// The items of a tuple, a list or a set.
  func items(of value: PickleValue) -> [PickleValue]? {
    if case .sequence(let place) = value { sequences[place] } else { nil }
  }

  /// The whole numbers of a tuple or a list; nil where it holds anything else.
  func integers(of value: PickleValue) -> [Int]? {
    guard let items = items(of: value) else { return nil }
    let integers = items.compactMap { item in if case .integer(let number) = item { number } else { nil } }
    return integers.count == items.count ? integers : nil
  }

  /// The entries of a dictionary whose keys are texts, in their order, each key once.
  func entries(of value: PickleValue) -> [(name: String, value: PickleValue)]? {
    guard case .dictionary(let place) = value else { return nil }
    var places: [String: Int] = [:]
    var entries: [(name: String, value: PickleValue)] = []
    for (key, value) in dictionaries[place] {
      guard case .text(let name) = key else { continue }
      if let known = places[name] {
        entries[known].value = value
      } else {
        places[name] = entries.count
        entries.append((name, value))
      }
    }
    return entries
  }
}

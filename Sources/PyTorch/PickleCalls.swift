import Basics

/// The functions and classes that a pickle of tensors calls, by name: what each makes is put together here, from plain values. These are those that
/// `torch.load(weights_only=True)` admits, and some that make plain values which nobody needs.
enum PickleCalls {
  /// The name that a module's member has in Python 3.
  static func modern(_ module: String, _ name: String) -> String {
    let modules = ["__builtin__": "builtins", "copy_reg": "copyreg", "UserDict": "collections"]
    return "\(modules[module] ?? module).\(name)"
  }

  /// What a call makes.
  ///
  /// - Throws: `Failure` for everything that is not known.
  static func result(of name: String, _ arguments: [PickleValue], _ heap: inout PickleHeap) throws -> PickleValue {
    if let function = tensorFunctions[name] { return try function(name, arguments, &heap) }
    if dictionaries.contains(name) { return try dictionary(arguments, &heap) }
    switch name {
    case "torch.Size", "builtins.set", "builtins.frozenset", "builtins.list", "builtins.tuple":
      return heap.sequence(arguments.first.flatMap { heap.items(of: $0) } ?? [])
    case "copyreg._reconstructor":
      guard case .global(let className)? = arguments.first else { throw malformed(name) }
      return heap.object(className)
    default:
      if plainValues.contains(name) || TorchType(global: name) != nil { return .unread }
      throw Failure(
        "its pickle", "cannot be read", "it calls '\(name)', which torch.load(weights_only=True) refuses too",
        remedy: "save the model's state_dict() alone")
    }
  }

  /// What stands for an object of a class, made without its initialiser.
  ///
  /// - Throws: `Failure` where the arguments of a class that is known do not fit it.
  static func object(of name: String, _ arguments: [PickleValue], _ heap: inout PickleHeap) throws -> PickleValue {
    if parameters.contains(name) { return try parameter(name, arguments, &heap) }
    if dictionaries.contains(name) { return heap.dictionary() }
    if name == "torch.Size" { return heap.sequence(arguments.first.flatMap { heap.items(of: $0) } ?? []) }
    return heap.object(name)
  }

  /// A storage by what a file remembers of it: `('storage', class, key, device, count)`, and in old files which part of another it is.
  ///
  /// - Throws: `Failure` for anything else.
  static func storage(_ id: PickleValue, _ heap: inout PickleHeap) throws -> PickleValue {
    let items = heap.items(of: id) ?? []
    if case .text("module")? = items.first {
      throw wholeModule(items.count > 1 ? name(items[1]) : nil)
    }
    guard items.count >= 5, case .text("storage") = items[0], case .global(let className) = items[1],
      let key = key(items[2]), case .integer(let count) = items[4], count >= 0
    else { throw malformed("a storage") }
    let type = TorchType(storageClass: className)
    guard type != nil || TorchType.isUntyped(className) else {
      throw Failure("its pickle", "cannot be read", "its storage '\(key)' is of the unknown class '\(className)'")
    }
    var storage = PickleHeap.Storage(key: key, type: type, count: count)
    if items.count > 5, let part = heap.items(of: items[5]) {
      guard part.count == 3, case .integer(let start) = part[1], case .integer(let length) = part[2], start >= 0,
        length >= 0, start < Int.max / 2
      else { throw malformed("a storage") }
      storage = PickleHeap.Storage(key: key, type: type, count: length, start: start)
    }
    return heap.storage(storage)
  }

  /// Says that a file holds a network as objects of Python's, not its weights.
  static func wholeModule(_ className: String?) -> Failure {
    Failure(
      "", "cannot be read",
      "it holds a whole module\(className.map { " (\($0))" } ?? ""), whose classes are code, and not its weights",
      remedy: "load it where its code is, and save model.state_dict()")
  }

  static func malformed(_ name: String) -> Failure { PickleReader.damaged("the arguments of '\(name)' do not fit it") }

  private static func name(_ value: PickleValue) -> String? { if case .global(let name) = value { name } else { nil } }

  private static func key(_ value: PickleValue) -> String? {
    switch value {
    case .text(let key): key
    case .integer(let key): String(key)
    case .none, .bool, .real, .bytes, .unread, .global, .sequence, .dictionary, .object, .storage, .tensor: nil
    }
  }

  // MARK: What is known

  private static let dictionaries: Set<String> = [
    "collections.OrderedDict", "collections.Counter", "collections.defaultdict", "builtins.dict",
  ]

  private static let parameters: Set<String> = [
    "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch.nn.Parameter",
  ]

  /// Calls that make values without any effect, none of which is a tensor.
  private static let plainValues: Set<String> = [
    "torch.device", "torch.serialization._get_layout", "_codecs.encode", "builtins.bytearray", "builtins.bytes",
    "builtins.complex", "builtins.slice", "builtins.range", "builtins.int", "builtins.float", "builtins.str",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray", "datetime.datetime", "datetime.date",
    "datetime.time", "datetime.timedelta", "datetime.timezone", "pathlib.Path", "pathlib.PosixPath",
    "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath", "decimal.Decimal", "fractions.Fraction", "uuid.UUID",
  ]

  private typealias Function = @Sendable (String, [PickleValue], inout PickleHeap) throws -> PickleValue

  private static let tensorFunctions: [String: Function] = {
    var functions: [String: Function] = [
      "torch._utils._rebuild_tensor": { try TorchView.rebuilt($0, $1, &$2) },
      "torch._utils._rebuild_tensor_v2": { try TorchView.rebuilt($0, $1, &$2) },
      "torch._utils._rebuild_tensor_v3": { try TorchView.rebuilt($0, $1, &$2) },
      "torch._utils._rebuild_parameter": { try parameter($0, $1, &$2) },
      "torch._utils._rebuild_parameter_with_state": { try parameter($0, $1, &$2) },
      "torch._utils._rebuild_device_tensor_from_cpu_tensor": { try parameter($0, $1, &$2) },
      "torch._tensor._rebuild_from_type_v2": { name, arguments, heap in
        guard arguments.count >= 3, case .global(let function) = arguments[0],
          let inner = heap.items(of: arguments[2]), function != name
        else { throw malformed(name) }
        return try result(of: function, inner, &heap)
      },
    ]
    for name in parameters { functions[name] = { try parameter($0, $1, &$2) } }
    let others = [
      "_rebuild_qtensor": "a quantized tensor", "_rebuild_sparse_tensor": "a sparse tensor",
      "_rebuild_sparse_csr_tensor": "a sparse tensor", "_rebuild_meta_tensor_no_storage": "a tensor without numbers",
      "_rebuild_nested_tensor": "a nested tensor", "_rebuild_wrapper_subclass": "a tensor of a class of its own",
      "_rebuild_device_tensor_from_numpy": "a tensor inside an array of NumPy",
    ]
    for (name, noun) in others {
      functions["torch._utils.\(name)"] = { _, _, _ in
        throw Failure("its pickle", "cannot be read", "it holds \(noun)", remedy: "save dense tensors of plain numbers")
      }
    }
    return functions
  }()

  /// A parameter is the tensor that it wraps.
  private static func parameter(
    _ name: String, _ arguments: [PickleValue], _ heap: inout PickleHeap
  ) throws -> PickleValue {
    guard case .tensor? = arguments.first else { throw malformed(name) }
    return arguments[0]
  }

  /// A dictionary of the pairs that the last argument lists: `OrderedDict([(k, v), ...])`, `defaultdict(list, {...})`.
  private static func dictionary(_ arguments: [PickleValue], _ heap: inout PickleHeap) throws -> PickleValue {
    let result = heap.dictionary()
    guard case .dictionary(let place) = result, let last = arguments.last else { return result }
    if case .dictionary(let other) = last {
      heap.dictionaries[place] = heap.dictionaries[other]
    } else if let pairs = heap.items(of: last) {
      for pair in pairs {
        guard let pair = heap.items(of: pair), pair.count == 2 else { throw malformed("OrderedDict") }
        heap.dictionaries[place].append((pair[0], pair[1]))
      }
    }
    return result
  }
}

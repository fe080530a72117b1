import Basics

/// One amount for every resource, nil where it is not known or not limited. Counts are whole numbers below 2^53, which are exact.
package struct Amounts: Sendable, Equatable {
  private var values: [Resource: Double] = [:]

  /// No amount is known.
  package init() {}

  package subscript(resource: Resource) -> Double? {
    get { values[resource] }
    set { values[resource] = newValue }
  }

  /// A count; nil where it is not known.
  ///
  /// - Precondition: the resource is counted in whole numbers.
  package subscript(count resource: Resource) -> Int? {
    get {
      precondition(resource.isCount, "'\(resource.rawValue)' is no count")
      return values[resource].map { Int($0) }
    }
    set { values[resource] = newValue.map(Double.init) }
  }

  /// The resources whose amounts are known, in their own order.
  package var known: [(resource: Resource, amount: Double)] {
    Resource.allCases.compactMap { resource in values[resource].map { (resource, $0) } }
  }

  /// Every limit in words: `4000 bytes, 12.5 M multiply-accumulates`; `none` where there is none.
  package var text: String {
    known.isEmpty ? "none" : known.map { $0.resource.phrase($0.amount) }.joined(separator: ", ")
  }
}

extension Amounts: ExpressibleByDictionaryLiteral {
  /// A resource that is not among them, or nil, is not known.
  package init(dictionaryLiteral elements: (Resource, Double?)...) {
    for (resource, amount) in elements { values[resource] = amount }
  }
}

extension Amounts {
  /// The amounts as keys and values of a JSON object: whole numbers for counts, null for what is not known.
  ///
  /// - Parameter resources: those that the object states.
  package func pairs(_ resources: [Resource] = Resource.allCases) -> [(String, JSON)] {
    resources.map { resource in
      (resource.rawValue, .optional(self[resource]) { resource.isCount ? .integer(Int($0)) : .real($0) })
    }
  }

  /// Reads what `pairs` states.
  ///
  /// - Parameter required: resources whose amounts may not be null.
  /// - Throws: `Failure` where a key is missing or its value is no amount of its resource.
  package init(
    _ reader: inout JSONReader, _ resources: [Resource] = Resource.allCases, required: Set<Resource> = []
  ) throws {
    for resource in resources {
      func read(_ json: JSON) -> Double? { resource.isCount ? json.count.map(Double.init) : json.real }
      let expected = resource.isCount ? "a count" : "a number"
      self[resource] =
        try required.contains(resource)
        ? reader.required(resource.rawValue, read, expected) : reader.optional(resource.rawValue, read, expected)
    }
  }
}

/// What every module throws: where it happened, what could not be done, why, and what would be right.
///
/// The four parts stay apart as data; `description` is the only place that makes a sentence of them:
/// `where: what: why (what would be right)`.
public struct Failure: Error, Equatable, Sendable {
  /// The file, option or layer that the failure is about.
  public let subject: String
  /// What could not be done or does not hold.
  public let problem: String
  /// Why, with names in quotes and numbers with units.
  public let reason: String
  /// What would be right, where that can be said.
  public let remedy: String?

  public init(_ subject: String, _ problem: String, _ reason: String, remedy: String? = nil) {
    self.subject = subject
    self.problem = problem
    self.reason = reason
    self.remedy = remedy
  }

  /// The same failure seen from further out: `path` becomes the subject and the old subject joins the problem.
  public func within(_ path: String) -> Failure {
    subject == path || subject.isEmpty
      ? Failure(path, problem, reason, remedy: remedy)
      : Failure(path, "\(subject): \(problem)", reason, remedy: remedy)
  }
}

extension Failure {
  /// The same failure with another text for every occurrence of one: what people know for what only the program knows.
  package func replacing(_ text: String, with other: String) -> Failure {
    func changed(_ part: String) -> String {
      part.split(separator: text, omittingEmptySubsequences: false).joined(separator: other)
    }
    return Failure(changed(subject), changed(problem), changed(reason), remedy: remedy.map(changed))
  }

  /// What `body` makes; a failure in it is seen from `path`.
  ///
  /// - Throws: What `body` throws.
  public static func within<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let failure as Failure { throw failure.within(path) }
  }
}

extension Failure: CustomStringConvertible {
  public var description: String {
    let sentence = [subject, problem, reason].filter { !$0.isEmpty }.joined(separator: ": ")
    return remedy.map { "\(sentence) (\($0))" } ?? sentence
  }
}

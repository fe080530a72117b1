/// What a command does: a request that says everything, a function that does it, a result.
///
/// A job checks its inputs and outputs first, then works, and leaves nothing behind where it fails. It neither prints nor
/// ends the program.
package protocol Job<Result>: Sendable {
  associatedtype Result

  /// Does the work.
  ///
  /// - Throws: `Failure` that says where, what, why and what would be right.
  func run(workers: Workers, progress: ProgressHandler) throws -> Result
}

import Basics
import Checkpoints
import Foundation

extension Checkpoint {
  /// The checkpoint with some layers in factored form, as it is read back from the file that `write` makes. The file lies in a
  /// temporary folder for a moment; messages speak of the path at which it is going to be.
  ///
  /// - Parameters:
  ///   - target: The path at which the file is going to be.
  ///   - companions: What the file needs to be opened.
  /// - Throws: `Failure` where the file cannot be written or read.
  package func rereading(
    replacing replacements: [Replacement], record: JSON?, as target: String, companions: Companions = Companions()
  ) throws -> Checkpoint {
    try TemporaryFolder.with { folder in
      let name = (target as NSString).lastPathComponent
      do {
        let path = (folder as NSString).appendingPathComponent(name)
        try write(replacing: replacements, record: record, to: path, overwrite: false)
        return try CheckpointSource(path: path, companions: companions).open().located(at: target)
      } catch let failure as Failure {
        throw failure.replacing(folder + "/", with: String(target.dropLast(name.count)))
      }
    }
  }
}

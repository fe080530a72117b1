import Basics
import Checkpoints
import Recurrent

extension Checkpoint {
  /// Whether the file holds a character model.
  package var holdsCharacterModel: Bool { metadata?[RecurrentModel.metadataKey] != nil }

  /// What the file tells about a character model; nil where it holds none.
  ///
  /// - Throws: `Failure` where that is no JSON.
  var recurrentDescription: JSON? {
    get throws {
      guard let text = metadata?[RecurrentModel.metadataKey] else { return nil }
      do {
        return try JSON(parsing: text.utf8)
      } catch let failure as Failure {
        throw failure.within("metadata '\(RecurrentModel.metadataKey)'")
      }
    }
  }
}

import Basics
import Foundation
import Hashing
import Recurrent

/// A text as the symbols of a vocabulary.
package struct CharacterText: Sendable {
  package let path: String
  package let tokens: [Int]
  /// Characters that the vocabulary does not have.
  package let unknown: Int

  /// The content of a text file.
  ///
  /// - Throws: `Failure` where the file cannot be read, is empty or is no text in UTF-8.
  package static func read(_ path: String) throws -> String {
    let bytes = try InputFile.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(path, "cannot be read", "it is no text in UTF-8", remedy: "convert it to UTF-8")
    }
    guard !text.isEmpty else { throw Failure(path, "cannot be used", "it is empty", remedy: "give a text") }
    return text
  }

  package init(path: String, _ text: String, _ vocabulary: Vocabulary) {
    self.path = path
    tokens = vocabulary.encode(text)
    unknown = tokens.count { $0 == Vocabulary.unknown }
  }

  /// Reads a text file and encodes it.
  ///
  /// - Throws: `Failure` where the file cannot be read or is no text in UTF-8.
  package init(path: String, _ vocabulary: Vocabulary) throws {
    self.init(path: path, try Self.read(path), vocabulary)
  }

  /// - Parameter isChosen: whether the user can shorten segments.
  /// - Throws: `Failure` where there is nothing to predict in a segment of so many steps.
  package func require(steps: Int, isChosen: Bool = true) throws {
    guard tokens.count > steps else {
      throw Failure(
        path, "is too short", "it has \(tokens.count) characters and a segment predicts \(steps)",
        remedy: isChosen ? "give a longer text, or shorter segments with --steps" : "give a longer text")
    }
  }

  /// Where unknown characters occur, a sentence about them.
  package var notice: String? {
    unknown == 0
      ? nil
      : "\(unknown) of the \(tokens.count) characters of '\(path)' are not in the model's vocabulary and count as one unknown symbol"
  }
}

/// A text to learn from and one that judges.
package struct TrainingTexts: Sendable {
  package let training: String
  package let validation: String

  /// The part of a text at its end that judges where there is no other one.
  private static let heldOutPart = 0.1

  /// Reads the text to train on and the one that judges.
  ///
  /// - Parameter validation: The path of the validation text; nil holds out the end of the other.
  /// - Throws: `Failure` where one of them is no readable text in UTF-8.
  package init(_ path: String, validation other: String?) throws {
    let text = try CharacterText.read(path)
    if let other {
      (training, validation) = (text, try CharacterText.read(other))
      return
    }
    let scalars = text.unicodeScalars
    let end = scalars.index(
      scalars.startIndex, offsetBy: scalars.count - Int(Self.heldOutPart * Double(scalars.count)))
    (training, validation) = (String(scalars[..<end]), String(scalars[end...]))
  }

  package var hashes: [String] {
    [training, validation].map { SHA256.hexadecimal(of: Array($0.utf8)) }
  }
}

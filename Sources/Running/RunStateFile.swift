import Basics
import Foundation
import Safetensors
import TensorCore

/// The file in which a training can be taken up where it was interrupted: tensors, how far it got, and the options that both runs
/// must have in common.
package struct RunStateFile: Sendable {
  /// What a file holds.
  package struct State: Sendable {
    package let tensors: [StoredTensor]
    /// How far the run got, as its trainer wrote it.
    package let progress: JSON

    /// The tensors whose names begin with a prefix, without it.
    package func tensors(_ prefix: String) -> [StoredTensor] {
      tensors.filter { $0.name.hasPrefix(prefix) }.map { $0.renamed(String($0.name.dropFirst(prefix.count))) }
    }
  }

  package let path: String
  /// What the file is: another one is refused.
  private let schema: String
  /// What must agree between the run and the file: options, and the hashes of the files that it learns from.
  private let options: JSONObject

  private static let key = "kcompress"

  package init(path: String, schema: String, options: JSONObject) {
    self.path = path
    self.schema = schema
    self.options = options
  }

  package var exists: Bool { FileManager.default.fileExists(atPath: path) }

  package func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// Replaces the file; the old state survives where this one cannot be written.
  ///
  /// - Throws: `Failure` where the file cannot be written.
  package func write(_ tensors: [StoredTensor], progress: JSON) throws {
    let document: JSON = ["schema": .string(schema), "options": .object(options), "progress": progress]
    try SafetensorsFile(tensors: tensors, metadata: [Self.key: document.text()]).write(to: path, overwrite: true)
  }

  /// Reads the file.
  ///
  /// - Throws: `Failure` where it does not exist or is damaged, and one that names what differs where the options are others.
  package func read() throws -> State {
    guard exists else {
      throw Failure(path, "cannot be resumed", "it does not exist", remedy: "leave --resume out")
    }
    let file = try SafetensorsFile(path: path)
    guard let text = file.metadata[Self.key], let document = try? JSON(parsing: text.utf8),
      document["schema"]?.string == schema, let stored = document["options"]?.object,
      let progress = document["progress"]
    else { throw damaged("its description") }
    let differences = options.pairs.filter { stored[$0.key] != $0.value }.map { key, value in
      "\(key) was \(stored[key]?.text() ?? "nothing") and is \(value.text())"
    }
    guard differences.isEmpty else {
      throw Failure(
        path, "cannot be resumed", "its options were others: " + differences.joined(separator: "; "),
        remedy: "give the same options, or begin anew without --resume")
    }
    return State(tensors: file.tensors, progress: progress)
  }

  /// What is wrong with a state that lacks something.
  package func damaged(_ what: String) -> Failure {
    Failure(path, "cannot be resumed", "\(what) is missing or malformed", remedy: "begin anew without --resume")
  }
}

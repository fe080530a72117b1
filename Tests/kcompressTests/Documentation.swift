import Foundation
import TestSupport
import Testing

/// A document in Markdown, as far as the tests look at it.
struct Document {
  let name: String
  private let lines: [String]

  /// - Parameter name: the path below the repository's root.
  init(_ name: String) throws {
    self.name = name
    lines = try String(contentsOf: TestPath.root.appendingPathComponent(name), encoding: .utf8)
      .components(separatedBy: "\n")
  }

  /// The text under a heading of the second level, up to the next one; nil where there is no such heading.
  func section(_ title: String) -> String? {
    guard let start = lines.firstIndex(of: "## \(title)") else { return nil }
    return lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }.joined(separator: "\n")
  }

  /// The text before the first heading of the second level.
  var preamble: String { lines.prefix { !$0.hasPrefix("## ") }.joined(separator: "\n") }

  /// The blocks of code, fenced or indented by four spaces, without their fences and indents.
  var blocks: [[String]] {
    var blocks: [[String]] = []
    var fenced: [String]?
    var indented: [String] = []
    for line in lines + [""] {
      if line.hasPrefix("```") {
        if let block = fenced { blocks.append(block) }
        fenced = fenced == nil ? [] : nil
      } else if fenced != nil {
        fenced?.append(line)
      } else if line.hasPrefix("    ") {
        indented.append(String(line.dropFirst(4)))
      } else if !indented.isEmpty {
        blocks.append(indented)
        indented = []
      }
    }
    return blocks
  }

  /// Every command line of the program that the document shows, without comments.
  var commands: [String] {
    blocks.joined().compactMap { line in
      let command = line.hasPrefix("$ ") ? String(line.dropFirst(2)) : line
      guard command.hasPrefix("kcompress ") else { return nil }
      return command.components(separatedBy: " #")[0].trimmingCharacters(in: .whitespaces)
    }
  }

  /// The blocks that show what commands print.
  var transcripts: [Transcript] {
    blocks.filter { $0.contains { $0.hasPrefix(Transcript.prompt) } }.map(Transcript.init)
  }
}

/// Commands that a document shows, one after the other in one folder, each with what a terminal shows.
struct Transcript: Sendable, CustomTestStringConvertible {
  /// What a line with a command begins with.
  static let prompt = "$ kcompress "

  let steps: [(command: String, output: [String])]

  fileprivate init(_ lines: [String]) {
    var steps: [(command: String, output: [String])] = []
    for line in lines {
      if line.hasPrefix(Self.prompt) {
        steps.append((String(line.dropFirst(Self.prompt.count)), []))
      } else if !steps.isEmpty {
        steps[steps.count - 1].output.append(line)
      }
    }
    self.steps = steps.map { ($0.command, Self.comparable($0.output)) }
  }

  var testDescription: String { steps.map(\.command).joined(separator: "; ") }

  /// The files of `Fixtures/` that the commands name.
  var fixtures: [String] {
    Set(steps.flatMap { $0.command.components(separatedBy: " ") })
      .filter { FileManager.default.fileExists(atPath: TestPath.fixture($0)) }.sorted()
  }

  /// Lines as they are compared: nothing that only looks different, and `#` for every time and speed, which alone may differ between
  /// machines.
  static func comparable(_ lines: [String]) -> [String] {
    let trimmed = lines.map { line in
      line.replacing(#/\b[0-9][0-9.]* (s|ms|us|seconds|GFLOP/s)\b/#) { "# \($0.output.1)" }
        .replacing(#/ +$/#, with: "")
    }
    return Array(trimmed.drop(while: \.isEmpty).reversed().drop(while: \.isEmpty).reversed())
  }
}

/// What the program says about one of its commands.
struct CommandHelp: Sendable {
  /// `plan`, `rosa split`
  let name: String
  /// The long names of the options, with dashes, in the order of the help.
  let options: [String]

  /// Options that every command takes and that the documents name once.
  static let common = ["--json", "--quiet", "--threads", "--help", "--version"]

  var own: [String] { options.filter { !Self.common.contains($0) } }

  /// All commands that do something, as the program lists them.
  static func all() throws -> [CommandHelp] { try found.get() }

  private static let found = Result { try withTemporaryFolder { try commands(under: [], in: $0) } }

  private static func commands(under path: [String], in folder: String) throws -> [CommandHelp] {
    let outcome = try Program.run(["help"] + path, in: folder)
    try #require(outcome.status == 0, "\(outcome.errors)")
    let lines = outcome.output.components(separatedBy: "\n")
    guard let start = lines.firstIndex(of: "SUBCOMMANDS:") else {
      let options = lines.compactMap { line in
        line.firstMatch(of: #/^  (?:-[a-z], )?(--[a-z][a-z-]*)/#).map { String($0.output.1) }
      }
      return [CommandHelp(name: path.joined(separator: " "), options: options)]
    }
    let names = lines[(start + 1)...].compactMap { $0.firstMatch(of: #/^  ([a-z]+)/#).map { String($0.output.1) } }
    return try names.flatMap { try commands(under: path + [$0], in: folder) }
  }
}

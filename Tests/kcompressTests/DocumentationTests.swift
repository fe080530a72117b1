import Basics
import Foundation
import TestSupport
import Testing

/// What the documents say about the program against what the program says itself.
@Suite struct DocumentationTests {
  private static let documents = [
    "README.md", "docs/cli.md", "docs/devices.md", "docs/library.md", "docs/formats.md", "docs/mathematics.md",
    "docs/architecture.md", "docs/benchmarks.md",
  ]

  private static func transcripts(of document: String) throws -> [Transcript] { try Document(document).transcripts }

  /// The synopses of docs/cli.md: for every command its line, with its continuations.
  private static func synopses() throws -> [(name: String, text: String)] {
    let block = try #require(try Document("docs/cli.md").blocks.first)
    var synopses: [(name: String, text: String)] = []
    for line in block {
      if line.hasPrefix("kcompress ") {
        let words = line.components(separatedBy: " ").dropFirst()
        // A command's name is of small letters; what it takes is in capitals, brackets or dashes.
        let name = words.prefix { $0.wholeMatch(of: /[a-z]+/) != nil }.filter { $0 != "pytorch" }
        synopses.append((name.joined(separator: " "), line))
      } else if !synopses.isEmpty {
        synopses[synopses.count - 1].text += " " + line.trimmingCharacters(in: .whitespaces)
      }
    }
    return synopses
  }

  /// The long options in a text; `-o` is `--output`.
  private static func options(in text: String) -> Set<String> {
    var options = Set(text.matches(of: #/(?:^|[^a-z0-9-])(--[a-z][a-z-]*)/#).map { String($0.output.1) })
    if text.contains(#/(?:^|[^a-z0-9-])-o\b/#) { options.insert("--output") }
    return options
  }

  @Test func everyCommandHasASynopsis() throws {
    #expect(try Self.synopses().map(\.name).sorted() == CommandHelp.all().map(\.name).sorted())
  }

  @Test func synopsesNameOptionsThatExist() throws {
    let commands = try CommandHelp.all()
    for synopsis in try Self.synopses() {
      let help = try #require(commands.first { $0.name == synopsis.name }, "'\(synopsis.name)' is no command")
      let unknown = Self.options(in: synopsis.text).subtracting(help.options)
      #expect(unknown.isEmpty, "\(help.name) has no \(unknown.sorted())")
    }
  }

  @Test func everyOptionIsDescribed() throws {
    let document = try Document("docs/cli.md")
    let synopses = try Self.synopses()
    for help in try CommandHelp.all() {
      let heading = help.name.components(separatedBy: " ")[0]
      let section = try #require(document.section(heading), "no section '\(heading)'")
      let synopsis = synopses.first { $0.name == help.name }?.text ?? ""
      let absent = Set(help.own).subtracting(Self.options(in: synopsis + " " + section))
      #expect(absent.isEmpty, "docs/cli.md says nothing of \(absent.sorted()) of \(help.name)")
    }
  }

  @Test func commonOptionsAreNamedOnce() throws {
    let named = Self.options(in: try Document("docs/cli.md").preamble)
    for option in CommandHelp.common { #expect(named.contains(option), "docs/cli.md says nothing of \(option)") }
    let withoutJSON = try CommandHelp.all().filter { !$0.options.contains("--json") }.map(\.name)
    #expect(withoutJSON == ["loader"], "docs/cli.md says that every other command takes --json")
  }

  @Test(arguments: documents)
  func examplesNameCommandsAndOptionsThatExist(_ name: String) throws {
    let commands = try CommandHelp.all()
    for example in try Document(name).commands {
      let rest = example.dropFirst("kcompress ".count)
      let help = try #require(
        commands.first { rest == $0.name || rest.hasPrefix($0.name + " ") }, "\(name) shows no command: \(example)")
      let unknown = Self.options(in: example).subtracting(help.options)
      #expect(unknown.isEmpty, "\(name) shows \(unknown.sorted()), which \(help.name) does not have: \(example)")
    }
  }

  /// A target is a room that one reader can survey, and docs/architecture.md says what belongs there.
  @Test func everyTargetIsDescribedAndSmall() throws {
    let sources = TestPath.root.appendingPathComponent("Sources")
    let table = try #require(try Document("docs/architecture.md").section("The targets, from the bottom up"))
    for target in try FileManager.default.contentsOfDirectory(atPath: sources.path) {
      let files = FileManager.default.enumerator(atPath: sources.appendingPathComponent(target).path)
      let swift = try #require(files).compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }
      guard !swift.isEmpty else { continue }
      #expect(swift.count <= 45, "\(target) has \(swift.count) files")
      #expect(table.contains("`\(target)`"), "docs/architecture.md says nothing of \(target)")
    }
  }

  @Test func theReadmeShowsTheMainJob() throws {
    let steps = try Self.transcripts(of: "README.md").flatMap(\.steps)
    for command in ["plan", "apply", "verify"] {
      #expect(steps.contains { $0.command.hasPrefix(command + " ") && !$0.output.isEmpty })
    }
  }

  /// Runs what a document shows on copies of the fixtures and compares every line.
  @Test(arguments: documents)
  func transcriptsAreWhatTheProgramPrints(_ name: String) throws {
    for transcript in try Self.transcripts(of: name) {
      try Workshop.with(transcript.fixtures) { workshop in
        for step in transcript.steps {
          try #require(!step.command.contains { "'\"|<>$`\\*;".contains($0) }, "tests have no shell: \(step.command)")
          let outcome = try Program.run(step.command.components(separatedBy: " "), in: workshop.folder)
          // Notes and errors come before the result.
          let printed = Transcript.comparable((outcome.errors + outcome.output).components(separatedBy: "\n"))
          #expect(printed == step.output, "\(name) does not show what kcompress \(step.command) prints")
        }
      }
    }
  }
}

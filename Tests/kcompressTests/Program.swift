import Basics
import Foundation
import Inference
import TestSupport
import Testing

/// The built program, run as a user runs it.
enum Program {
  struct Outcome {
    let status: Int32
    let output: String
    let errors: String

    var json: JSON? { try? JSON(parsing: Array(output.utf8)) }
  }

  /// The executable beside the test bundle.
  static let path = URL(fileURLWithPath: CommandLine.arguments[0])
    .resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent("kcompress").path

  /// Both streams are read while the program runs, so that neither can fill up.
  ///
  /// - Parameters:
  ///   - fileLimit: the blocks of 512 bytes that no file may exceed, as on a disk that is full.
  ///   - environment: what is added to the tests' own.
  static func run(
    _ arguments: [String], in folder: String, fileLimit: Int? = nil, environment: [String: String] = [:]
  ) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: fileLimit == nil ? path : "/bin/sh")
    process.arguments =
      (fileLimit.map { ["-c", "ulimit -f \($0); exec \"$0\" \"$@\"", path] } ?? []) + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    // Sweeps of other versions of the program must not count.
    process.environment = ProcessInfo.processInfo.environment.merging([
      "XDG_CACHE_HOME": NSTemporaryDirectory() + "kcompress-tests-\(ProcessInfo.processInfo.processIdentifier)"
    ]) { $1 }.merging(environment) { $1 }
    let errorsPath = folder + "/.stderr"
    _ = FileManager.default.createFile(atPath: errorsPath, contents: nil)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: errorsPath)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let errors = try String(contentsOfFile: errorsPath, encoding: .utf8)
    try FileManager.default.removeItem(atPath: errorsPath)
    return Outcome(
      status: process.terminationStatus, output: String(decoding: data, as: UTF8.self), errors: errors)
  }
}

/// A folder with copies of some fixtures, and the program run in it.
struct Workshop {
  let folder: String

  static func with(_ fixtures: [String], _ body: (Workshop) throws -> Void) throws {
    try withTemporaryFolder { folder in
      for name in fixtures {
        try FileManager.default.copyItem(atPath: TestPath.fixture(name), toPath: folder + "/" + name)
      }
      try body(Workshop(folder: folder))
    }
  }

  func run(_ arguments: String...) throws -> Program.Outcome { try run(arguments) }
  func run(_ arguments: [String]) throws -> Program.Outcome { try Program.run(arguments, in: folder) }

  func path(_ name: String) -> String { folder + "/" + name }
  func bytes(_ name: String) throws -> [UInt8] { try InputFile.read(path(name)) }
  func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path(name))) }
  func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }
  var files: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  /// Runs a command that must fail with this status, one sentence that contains `message`, nothing on standard output and no new file.
  func expectFailure(
    _ arguments: [String], status: Int32, _ message: String, location: SourceLocation = #_sourceLocation
  ) throws {
    let before = try files
    let outcome = try Program.run(arguments, in: folder)
    #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.output.isEmpty, sourceLocation: location)
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.count == 1, "\(outcome.errors)", sourceLocation: location)
    #expect(lines.first?.hasPrefix("kcompress: ") == true, sourceLocation: location)
    #expect(
      lines.first.map { $0.components(separatedBy: ": ").count >= 4 } == true,
      "the sentence has fewer parts than where, what and why: \(outcome.errors)", sourceLocation: location)
    #expect(outcome.errors.contains(message), "\(outcome.errors)", sourceLocation: location)
    #expect(try files == before, sourceLocation: location)
  }
}

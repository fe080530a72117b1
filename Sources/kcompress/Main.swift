import ArgumentParser
import Basics
import Foundation
import LinearAlgebra

/// What the program's exit tells. Usage errors are ArgumentParser's: 64.
enum ExitStatus: Int32 {
  case done = 0
  /// A negative verdict: verify failed, no plan can meet the budget, or a training diverged.
  case negative = 1
  /// A bad file, a full disk.
  case failure = 2
}

/// Thrown by a command that has said all there is to say.
struct NegativeVerdict: Error {}

@main enum Main {
  static func main() {
    // A file that may not grow is an error like a full disk.
    signal(SIGXFSZ, SIG_IGN)
    LoadTimeSettings.apply(sharesFreedMemory: CommandLine.arguments.dropFirst().first == "tune")
    do {
      var command = try KCompress.parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      Terminal.error(failure.description)
      exit(ExitStatus.failure.rawValue)
    } catch is NegativeVerdict {
      exit(ExitStatus.negative.rawValue)
    } catch let error as CocoaError {
      Terminal.error("kcompress: \(error.localizedDescription)")
      exit(ExitStatus.failure.rawValue)
    } catch {
      exit(tell(error))
    }
  }

  /// Prints what the parser says: help and the version on standard output, wrong usage on standard error.
  ///
  /// - Returns: the exit status.
  private static func tell(_ error: any Error) -> Int32 {
    let message = KCompress.fullMessage(for: error)
    let status = KCompress.exitCode(for: error).rawValue
    guard status == ExitStatus.done.rawValue else {
      Terminal.mutter(message.isEmpty ? "" : message + "\n")
      return status
    }
    do {
      try Terminal.write(message.isEmpty ? "" : message + "\n")
      return status
    } catch {
      Terminal.error("\(error)")
      return ExitStatus.failure.rawValue
    }
  }
}

struct KCompress: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kcompress",
    abstract: "Compress a trained network's checkpoint to a byte budget.",
    discussion: """
      plan chooses a tensor structure for every convolution so that the file fits, apply writes the \
      compressed checkpoint and a report, verify checks it:

        kcompress plan model.h5 --budget 4MB
        kcompress apply model.plan.json
        kcompress verify model.compressed.h5 --reference reference.npz

      Exit status: 0 done, 1 a negative verdict (verify failed, no plan fits, a training diverged), \
      2 an error, 64 wrong usage.
      """,
    version: "0.1.0",
    subcommands: [
      InspectCommand.self, PlanCommand.self, ApplyCommand.self, VerifyCommand.self, ExplainCommand.self,
      TuneCommand.self, RosaCommand.self, DiffCommand.self, BenchCommand.self, DevicesCommand.self,
      LoaderCommand.self, RnnCommand.self,
    ])
}

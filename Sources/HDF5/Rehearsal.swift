import Basics
import CHDF5
import Foundation

/// Reads a file in a child process, to see whether the library survives it.
///
/// The library's parser is not made for files that somebody damaged: flipped bits can send it out of its memory or into a
/// circle. Outside of a child process that would be the end of the program, without a word about the file.
struct Rehearsal {
  private let path: String
  private let skipping: Set<String>

  init(path: String, skipping: Set<String>) {
    self.path = path
    self.skipping = skipping
  }

  /// - Throws: `Failure` when the child process crashed, or worked longer than any sound file of this size takes.
  func perform() throws {
    let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    let seconds = UInt32(clamping: 10 + (size ?? 0) / 20_000_000)
    let names = unsafe skipping.sorted().map { name in unsafe UnsafePointer(strdup(name)) }
    defer { unsafe names.forEach { unsafe free(UnsafeMutablePointer(mutating: $0)) } }
    let signal = unsafe names.withUnsafeBufferPointer { names in
      unsafe chdf5_rehearse(path, names.baseAddress, names.count, seconds, 4 * seconds)
    }
    // Waiting says nothing about the file.
    guard signal > 0, signal != SIGALRM else { return }
    let reason = signal == SIGXCPU || signal == SIGKILL ? "goes round in circles" : "loses its way"
    throw Failure(
      path, "cannot be read", "it is damaged: the HDF5 library \(reason) in it",
      remedy: "copy or download it again")
  }
}

import Foundation

extension String {
  /// The path of the folder that a path lies in: "" for a name alone. Foundation's own `deletingLastPathComponent` traps on a path of one
  /// character (Swift 6.3 on Linux).
  package var folderPath: String { count == 1 && self != "/" ? "" : (self as NSString).deletingLastPathComponent }
}

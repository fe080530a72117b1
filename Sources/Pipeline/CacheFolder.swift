import Foundation

/// Where the program keeps what it has measured.
package enum CacheFolder {
  /// `$XDG_CACHE_HOME/kcompress` or `~/.cache/kcompress`; nil without a home folder.
  package static var standard: String? {
    let environment = ProcessInfo.processInfo.environment
    let caches =
      environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? environment["HOME"].map { $0 + "/.cache" }
    return caches.map { $0 + "/kcompress" }
  }
}

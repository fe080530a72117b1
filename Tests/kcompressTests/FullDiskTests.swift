import Basics
import Foundation
import TestSupport
import Testing

/// A disk that is full: the HDF5 library notices some of it only when it closes what it has written.
@Suite struct FullDiskTests {
  private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// Takes the place of the functions by which the library writes: in `FULL_FOLDER` there is no room behind `FULL_BYTES` of a
  /// file.
  private static let source = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <limits.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>

    static int is_full(int file, off_t end) {
      const char *folder = getenv("FULL_FOLDER"), *limit = getenv("FULL_BYTES");
      char link[64], path[PATH_MAX];
      if (folder == NULL || limit == NULL || end <= atoll(limit)) return 0;
      snprintf(link, sizeof link, "/proc/self/fd/%d", file);
      ssize_t count = readlink(link, path, sizeof path - 1);
      return count > 0 && (size_t)count > strlen(folder) && strncmp(path, folder, strlen(folder)) == 0;
    }

    #define REPLACE(name)                                                                       \\
      ssize_t name(int file, const void *bytes, size_t count, off_t offset) {                   \\
        ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, #name);            \\
        if (!is_full(file, offset + (off_t)count)) return next(file, bytes, count, offset);     \\
        errno = ENOSPC;                                                                         \\
        return -1;                                                                              \\
      }
    REPLACE(pwrite)
    REPLACE(pwrite64)
    """

  private static func compile(in folder: String) throws -> String {
    let (source, library) = (folder + "/full.c", folder + "/full.so")
    try Data(Self.source.utf8).write(to: URL(fileURLWithPath: source))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(compiler))
    process.arguments = ["-shared", "-fPIC", "-o", library, source, "-ldl"]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "the C compiler does not take the library of this test")
    return library
  }

  @Test(.enabled(if: compiler != nil, "skipped: no C compiler"))
  func noFileIsLeftWhereverTheDiskEnds() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let library = try Self.compile(in: workshop.folder)
      #expect(try workshop.run("plan", "digits.h5", "--budget", "120kB").status == 0)
      let disk = workshop.path("disk")
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
      func apply(_ limit: Int) throws -> Program.Outcome {
        try Program.run(
          ["apply", "digits.plan.json", "-o", "disk/out.h5"], in: workshop.folder,
          environment: [
            "LD_PRELOAD": library, "FULL_FOLDER": URL(fileURLWithPath: disk).resolvingSymlinksInPath().path,
            "FULL_BYTES": "\(limit)",
          ])
      }
      let whole = try apply(.max)
      #expect(whole.status == 0, "\(whole.errors)")
      let size = try workshop.bytes("disk/out.h5").count
      for file in try FileManager.default.contentsOfDirectory(atPath: disk) {
        try FileManager.default.removeItem(atPath: disk + "/" + file)
      }
      // The last bytes are in the library's hands until the file is closed.
      for missing in [1] + Array(stride(from: 4096, through: 49152, by: 4096)) {
        let outcome = try apply(size - missing)
        #expect(outcome.status == 2, "\(missing) bytes too few")
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(outcome.errors)")
        #expect(
          outcome.errors.hasPrefix("kcompress: disk/out.h5: cannot be written: No space left on device"),
          "\(missing) bytes too few: \(outcome.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk).isEmpty, "\(missing) bytes too few")
      }
    }
  }
}

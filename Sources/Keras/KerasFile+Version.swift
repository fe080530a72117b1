extension KerasFile {
  /// The version of Keras that wrote the file: 1, 2 or 3; a file that states none is as old as Keras 1.
  var majorVersion: Int {
    kerasVersion.flatMap { $0.split(separator: ".").first }.flatMap { Int($0) } ?? 1
  }
}

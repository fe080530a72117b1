import ArgumentParser

struct LoaderCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loader", abstract: "Print a file that loads compressed checkpoints in a framework.",
    discussion: """
      kcompress loader pytorch > kcompress_torch.py

      Its load_compressed(model, path) puts the factored layers of a compressed safetensors file into your own nn.Module \
      and loads all weights. Keras and ONNX files need no loader.
      """)

  enum Framework: String, ExpressibleByArgument, CaseIterable { case pytorch }

  @Argument(help: "pytorch.")
  var framework: Framework

  func run() throws {
    try Terminal.write(String(decoding: PackageResources.kcompress_torch_py, as: UTF8.self))
  }
}

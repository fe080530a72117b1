// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: language mode 6, strict memory safety, and no unsafe construct unmarked.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// Tests of a target. Most are compiled without optimization, which takes a third of the time: what they wait for is the program.
///
/// - Parameter computes: Whether the tests compute what they expect in loops of their own, which are optimized.
func tests(of name: String, _ dependencies: [Target.Dependency] = [], computes: Bool = false) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies,
    swiftSettings: [.swiftLanguageMode(.v6)]
      + (computes ? [] : [.unsafeFlags(["-Onone"], .when(configuration: .release))]))
}

let package = Package(
  name: "kcompress",
  products: [
    .executable(name: "kcompress", targets: ["kcompress"]),
    // Structures and fits for other packages; see docs/library.md.
    .library(
      name: "Decompositions", targets: ["Decompositions", "ModelGraph", "LinearAlgebra", "TensorCore", "Basics"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
  ],
  targets: [
    // C libraries. Shims are ordinary C targets, because SwiftPM does not notice a changed header of a
    // system library.
    .systemLibrary(
      name: "HDF5Library", pkgConfig: "hdf5-serial", providers: [.apt(["libhdf5-dev"])]),
    // zlib, which HDF5 depends on, inflates ZIP members.
    .target(
      name: "CHDF5", dependencies: ["HDF5Library"], linkerSettings: [.linkedLibrary("z")]),
    .systemLibrary(
      name: "OpenBLASLibrary", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .target(name: "COpenBLAS", dependencies: ["OpenBLASLibrary"]),
    .systemLibrary(name: "CryptoLibrary", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "CCrypto", dependencies: ["CryptoLibrary"]),

    // From the bottom up: a module sees only modules above it in this list.
    module("Basics"),
    module("TensorCore", ["Basics"]),
    module("LinearAlgebra", ["Basics", "COpenBLAS", "TensorCore"]),
    module("ModelGraph", ["Basics", "TensorCore"]),
    module("Solver"),
    module("Decompositions", ["Basics", "LinearAlgebra", "ModelGraph", "TensorCore"]),
    module("Rounding", ["Basics", "Decompositions", "LinearAlgebra", "ModelGraph", "TensorCore"]),
    module("Inference", ["Basics", "LinearAlgebra", "ModelGraph", "TensorCore"]),
    module("Training", ["Basics", "Inference", "LinearAlgebra", "ModelGraph", "TensorCore"]),
    module("Recurrent", ["Basics", "Inference", "LinearAlgebra", "TensorCore"]),
    module("HDF5", ["Basics", "CHDF5"]),
    // Generated: protoc --swift_opt=Visibility=Public --swift_out=. onnx.proto
    .target(
      name: "ONNXProto", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["onnx.proto"], swiftSettings: [.swiftLanguageMode(.v6)]),
    module("Hashing", ["CCrypto"]),
    module("ZIP", ["Basics", "HDF5", "TensorCore"]),
    module("NumPy", ["Basics", "TensorCore", "ZIP"]),
    // What all formats of checkpoints share, then each format, then what knows them all.
    module("Checkpoints", ["Basics", "ModelGraph", "TensorCore"]),
    module("Safetensors", ["Basics", "Checkpoints", "Hashing", "ModelGraph", "TensorCore"]),
    module("PyTorch", ["Basics", "Checkpoints", "Hashing", "Safetensors", "TensorCore", "ZIP"]),
    module("KerasLayers", ["Basics", "ModelGraph", "TensorCore"]),
    module("Keras", ["Basics", "Checkpoints", "HDF5", "Hashing", "KerasLayers", "ModelGraph", "TensorCore", "ZIP"]),
    module(
      "ONNX",
      [
        "Basics", "Checkpoints", "Hashing", "Inference", "ModelGraph", "ONNXProto", "TensorCore",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    module(
      "Formats",
      [
        "Basics", "Checkpoints", "Decompositions", "HDF5", "Keras", "ModelGraph", "NumPy", "ONNX", "PyTorch",
        "Safetensors", "TensorCore",
        "ZIP",
      ]),
    .target(
      name: "Devices", dependencies: ["Basics", "ModelGraph", "TensorCore"],
      resources: [.embedInCode("Profiles")], swiftSettings: strict),
    module("Running", ["Basics", "Checkpoints", "Formats", "Inference", "ModelGraph", "Safetensors", "TensorCore"]),
    module("Plans", ["Basics", "Checkpoints", "Decompositions", "Formats", "Running", "TensorCore"]),
    module(
      "Calibration",
      [
        "Basics", "Checkpoints", "Decompositions", "Inference", "LinearAlgebra", "ModelGraph", "Rounding", "Running",
        "TensorCore", "Training",
      ]),
    module(
      "Networks",
      [
        "Basics", "Calibration", "Checkpoints", "Decompositions", "Formats", "Hashing", "LinearAlgebra", "ModelGraph",
        "Plans", "Recurrent", "Running", "Safetensors", "TensorCore",
      ]),
    module(
      "Compression",
      [
        "Basics", "Calibration", "Checkpoints", "Decompositions", "Formats", "Inference", "ModelGraph", "Networks",
        "Plans", "Running", "TensorCore",
      ]),
    module(
      "Planning",
      [
        "Basics", "Calibration", "Checkpoints", "Decompositions", "Devices", "Formats", "Hashing", "ModelGraph",
        "Networks", "Plans", "Rounding", "Running", "Solver", "TensorCore",
      ]),
    module(
      "Timing",
      [
        "Basics", "Checkpoints", "Decompositions", "Devices", "Formats", "Inference", "ModelGraph", "Plans", "Running",
        "TensorCore",
      ]),
    module(
      "Tuning",
      [
        "Basics", "Checkpoints", "Compression", "Formats", "Hashing", "Inference", "ModelGraph", "Plans", "Running",
        "Safetensors", "TensorCore", "Training",
      ]),
    module(
      "CharacterModels",
      ["Basics", "Decompositions", "Formats", "Networks", "Recurrent", "Running", "TensorCore", "Training"]),
    module(
      "Reports",
      [
        "Basics", "CharacterModels", "Compression", "Devices", "ModelGraph", "Planning", "Plans", "Recurrent", "Timing",
        "Tuning",
      ]),
    .executableTarget(
      name: "kcompress",
      dependencies: [
        "Basics", "CharacterModels", "Checkpoints", "Compression", "Decompositions", "Devices", "Formats",
        "LinearAlgebra", "ModelGraph", "Planning", "Plans", "Recurrent", "Reports", "Running", "TensorCore", "Timing",
        "Training", "Tuning", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      resources: [.embedInCode("Resources/kcompress_torch.py")], swiftSettings: strict),

    .executableTarget(
      name: "kcompress-measure",
      dependencies: [
        "Basics", "Decompositions", "Devices", "Formats", "Inference", "LinearAlgebra", "ModelGraph", "Planning",
        "Plans", "Running", "Solver", "TensorCore", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks/Measure", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Running"], path: "Tests/TestSupport",
      swiftSettings: [.swiftLanguageMode(.v6)]),
    tests(of: "Basics"),
    tests(of: "TensorCore", ["Basics"], computes: true),
    tests(of: "LinearAlgebra", ["Basics", "TensorCore"], computes: true),
    tests(of: "ModelGraph", ["Basics", "TensorCore"], computes: true),
    tests(of: "Decompositions", ["Basics", "LinearAlgebra", "ModelGraph", "TensorCore"], computes: true),
    tests(of: "Rounding", ["Basics", "Decompositions", "LinearAlgebra", "ModelGraph", "TensorCore"], computes: true),
    tests(of: "Inference", ["Basics", "ModelGraph", "TensorCore"], computes: true),
    tests(of: "Training", ["Basics", "Inference", "ModelGraph", "TensorCore"], computes: true),
    tests(of: "Recurrent", ["Basics", "TensorCore"], computes: true),
    tests(of: "HDF5", ["Basics"]),
    tests(of: "Hashing"),
    tests(
      of: "Checkpoints",
      [
        "Basics", "Decompositions", "Formats", "HDF5", "Hashing", "Inference", "Keras", "KerasLayers", "ModelGraph",
        "NumPy", "ONNX", "ONNXProto", "PyTorch", "Safetensors", "TensorCore", "ZIP",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    tests(of: "Solver", ["Basics", "Planning"], computes: true),
    tests(of: "Devices", ["Basics", "Checkpoints", "ModelGraph"]),
    tests(of: "Running", ["Basics", "Formats", "ModelGraph", "TensorCore"]),
    tests(of: "Plans", ["Basics"]),
    tests(
      of: "Calibration",
      ["Basics", "Checkpoints", "Decompositions", "ModelGraph", "Networks", "Plans", "Running", "TensorCore"]),
    tests(of: "Compression", ["Basics", "Calibration", "Formats", "Planning", "Plans", "Running", "TensorCore"]),
    tests(
      of: "Planning",
      [
        "Basics", "Calibration", "Checkpoints", "Compression", "Formats", "Networks", "Plans", "Running", "Solver",
        "TensorCore",
      ]),
    tests(
      of: "Tuning",
      [
        "Basics", "Checkpoints", "Compression", "Formats", "Inference", "ModelGraph", "Planning", "Running",
        "TensorCore", "Training",
      ]),
    tests(
      of: "CharacterModels",
      [
        "Basics", "Checkpoints", "Compression", "Networks", "Planning", "Plans", "Recurrent", "Reports", "Running",
        "TensorCore",
      ]),
    tests(of: "Reports", ["Basics", "Compression", "Planning", "Plans"]),
    tests(of: "kcompress", ["Basics", "Formats", "Inference"]),
  ]
)

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

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies,
    swiftSettings: [.swiftLanguageMode(.v6)])
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
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
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

    // From the bottom up: a module sees only modules above it in this list.
    module("Basics"),
    module("TensorCore", ["Basics"]),
    module("LinearAlgebra", ["TensorCore", "COpenBLAS"]),
    module("ModelGraph", ["TensorCore"]),
    module("Planning", ["ModelGraph"]),
    module("Decompositions", ["LinearAlgebra", "ModelGraph"]),
    module("Inference", ["LinearAlgebra", "ModelGraph"]),
    module("Training", ["Inference"]),
    module("Recurrent", ["Training"]),
    module("HDF5", ["Basics", "CHDF5"]),
    // Generated: protoc --swift_opt=Visibility=Public --swift_out=. onnx.proto
    .target(
      name: "ONNXProto", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["onnx.proto"], swiftSettings: [.swiftLanguageMode(.v6)]),
    module(
      "Checkpoints",
      ["HDF5", "ModelGraph", "ONNXProto", .product(name: "Crypto", package: "swift-crypto")]),
    .target(
      name: "Pipeline", dependencies: ["Checkpoints", "Training", "Recurrent", "Decompositions", "Planning"],
      resources: [.embedInCode("Resources/devices")], swiftSettings: strict),
    .executableTarget(
      name: "kcompress",
      dependencies: [
        "Pipeline", "LinearAlgebra", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      resources: [.embedInCode("Resources/kcompress_torch.py")], swiftSettings: strict),

    .executableTarget(
      name: "kcompress-measure",
      dependencies: [
        "Pipeline", "LinearAlgebra", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks/Measure", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Basics", "TensorCore"], path: "Tests/TestSupport",
      swiftSettings: [.swiftLanguageMode(.v6)]),
    tests(of: "Basics"),
    tests(of: "TensorCore"),
    tests(of: "LinearAlgebra"),
    tests(of: "ModelGraph"),
    tests(of: "Planning"),
    tests(of: "Decompositions", ["Inference"]),
    tests(of: "Inference"),
    tests(of: "Training"),
    tests(of: "Recurrent"),
    tests(of: "HDF5"),
    tests(of: "Checkpoints", ["Inference", "Decompositions", "ONNXProto"]),
    tests(of: "Pipeline"),
    tests(of: "kcompress", ["Checkpoints"]),
  ]
)

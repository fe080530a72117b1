import Basics
import Formats
import Inference
import ModelGraph
import Planning
import TensorCore
import TestSupport
import Testing

@testable import Checkpoints
@testable import Pipeline

@Suite struct DeviceProfileTests {
  @Test func builtInProfilesHaveAllOperations() throws {
    let devices = try DeviceProfile.builtIn()
    #expect(
      devices.map(\.name) == [
        "stm32h743", "stm32f746", "stm32l4r5", "esp32s3", "rp2040", "nrf52840", "k210", "raspberrypi4", "raspberrypi5",
      ])
    for device in devices {
      #expect(Set(device.operations.keys) == Set(OperationKind.allCases), "\(device.name)")
      #expect(try DeviceProfile(json: device.json) == device)
    }
  }

  @Test func namesAndFiles() throws {
    #expect(try DeviceProfile.named("STM32L4R5").name == "stm32l4r5")
    try withTemporaryFolder { folder in
      let path = folder + "/mine"
      try OutputFile.write(
        try Self.json(replacing: #""name": "toy""#, by: #""name": "mine""#).utf8, to: path, overwrite: false)
      #expect(try DeviceProfile.named(path).name == "mine")
    }
    #expect {
      try DeviceProfile.named("stm32l4r6")
    } throws: { error in
      "\(error)".contains("stm32l4r5, esp32s3") && "\(error)".contains("host")
    }
  }

  static let toy = """
    {"schema": "kcompress.device/1", "name": "toy", "description": "", "source": "", "flash": null, "ram": 1000,
     "dtype": "f32", "bandwidth": 1e6, "overhead": 0,
     "operations": {"convolution": {"macs_per_second": {"f32": 1e6, "i8": 4e6}, "half_width": 4},
                    "elementwise": {"bandwidth": 2e6}}}
    """

  static func json(replacing old: String, by new: String) throws -> String {
    #expect(toy.contains(old))
    return toy.replacing(old, with: new)
  }

  @Test func readsAProfile() throws {
    let profile = try DeviceProfile(json: JSON(parsing: Array(Self.toy.utf8)))
    #expect(profile.flash == nil && profile.ram == 1000 && profile.overhead == 0)
    #expect(profile.operations[.convolution] == .init(macsPerSecond: [.f32: 1e6, .i8: 4e6], halfWidth: 4))
    #expect(profile.operations[.elementwise] == .init(bandwidth: 2e6))
    #expect(profile.operations.count == 2)
  }

  @Test(arguments: [
    (#""kcompress.device/1""#, #""kcompress.plan/1""#, "schema"),
    (#""name": "toy""#, #""name": """#, "'name' is malformed"),
    (#""ram": 1000"#, #""ram": 0"#, "'ram' is malformed"),
    (#""ram": 1000"#, #""ram": 1.5"#, "'ram' is malformed"),
    (#""ram": 1000,"#, "", "has no key 'ram'"),
    (#""dtype": "f32""#, #""dtype": "f33""#, "one of f64, f32"),
    (#""dtype": "f32""#, #""dtype": "f16""#, "has no speed for f16"),
    (#""bandwidth": 1e6"#, #""bandwidth": 0"#, "'bandwidth' is malformed"),
    (#""bandwidth": 1e6"#, #""bandwidth": NaN"#, "'bandwidth' is malformed"),
    (#""bandwidth": 1e6"#, #""bandwidth": 1e400"#, "'bandwidth' is malformed"),
    (#""overhead": 0"#, #""overhead": -1"#, "'overhead' is malformed"),
    (#""overhead": 0"#, #""overhead": "none""#, "'overhead' is malformed"),
    (#""f32": 1e6"#, #""f32": -1e6"#, "'f32' is no positive number"),
    (#""i8": 4e6"#, #""int8": 4e6"#, "'int8' is no one of"),
    (#""half_width": 4"#, #""half_width": Infinity"#, "'half_width' is malformed"),
    (#""half_width": 4"#, #""halfwidth": 4"#, "unknown key 'halfwidth'"),
    (#""elementwise": {"#, #""elementwise": {"half_width": 1, "#, "unknown key 'half_width'"),
    (#""elementwise": {"#, #""element_wise": {"#, "the operation 'element_wise' is unknown"),
    (#"{"macs_per_second": {"f32": 1e6, "i8": 4e6}, "half_width": 4}"#, "{}", "has no key 'macs_per_second'"),
    (#"{"macs_per_second": {"f32": 1e6, "i8": 4e6}, "half_width": 4}"#, "[]", "an object is expected"),
  ])
  func refuses(_ old: String, _ new: String, _ message: String) throws {
    let text = try Self.json(replacing: old, by: new)
    #expect {
      try DeviceProfile(json: JSON(parsing: Array(text.utf8)))
    } throws: { error in
      "\(error)".contains(message)
    }
  }

  /// What is said to take no time is what the engine does not compute by itself.
  @Test(arguments: [
    "digits.h5", "mlperf_tiny/pretrainedResnet.h5", "cifar_resnet/resnet20.onnx", "mlperf_tiny/vww_96.h5",
  ])
  func fusedNodesAreThoseOfTheEngine(_ name: String) throws {
    guard let path = name == "digits.h5" ? TestPath.fixture(name) : TestPath.shared(name) else {
      print("skipped: \(name) is not beside the project")
      return
    }
    let (graph, engine) = try Checkpoint.open(path).network()
    let fused = graph.fusedNodes(shapes: try graph.shapes(batch: 1))
    #expect(!fused.isEmpty)
    for node in graph.nodes where node.inputs.count == 1 {
      #expect(fused.contains(node.name) == !engine.computes(node.inputs[0]), "\(node.name)")
    }
  }
}

import Basics
import Foundation
import TestSupport
import Testing

/// Plan, apply and verify, as the README shows them.
@Suite struct MainJobTests {
  @Test(arguments: [("digits.h5", 120_000), ("digits.safetensors", 95_000)])
  func planApplyVerify(_ checkpoint: String, _ budget: Int) throws {
    try Workshop.with([checkpoint]) { workshop in
      let plan = try workshop.run("plan", checkpoint, "--budget", "\(budget)", "--json")
      #expect(plan.status == 0, "\(plan.errors)")
      let document = try #require(plan.json)
      #expect(try String(decoding: workshop.bytes("digits.plan.json"), as: UTF8.self) == plan.output)

      let apply = try workshop.run("apply", "digits.plan.json", "--json")
      #expect(apply.status == 0, "\(apply.errors)")
      let result = try #require(apply.json)
      let name = "digits.compressed." + (checkpoint as NSString).pathExtension
      let size = try workshop.bytes(name).count
      #expect(size <= budget)
      #expect(result["bytes"]?.integer == size)
      #expect(document["predicted"]?["bytes"]?.integer == size)
      #expect(try workshop.files.contains("digits.report.html"))

      let verify = try workshop.run("verify", name, "--json")
      #expect(verify.status == 0, "\(verify.errors)\(verify.output)")
      let verdict = try #require(verify.json)
      #expect(verdict["passed"]?.bool == true)
      for layer in try #require(verdict["layers"]?.array) {
        let discrepancy = try #require(layer["discrepancy"]?.real)
        let promised = try #require(layer["promised"]?.real)
        #expect(discrepancy > 0 && discrepancy <= promised * 1.001)
      }
    }
  }

  @Test func sameBytesTwice() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      var files: [[[UInt8]]] = []
      for _ in 0..<2 {
        #expect(try workshop.run("plan", "digits.h5", "--budget", "110kB").status == 0)
        #expect(try workshop.run("apply", "digits.plan.json", "--overwrite").status == 0)
        files.append([
          try workshop.bytes("digits.plan.json"), try workshop.bytes("digits.compressed.h5"),
        ])
      }
      #expect(files[0] == files[1])
    }
  }

  @Test func threadsDoNotChangeThePlan() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let one = try workshop.run("plan", "digits.h5", "--budget", "110kB", "--threads", "1", "--json")
      let two = try workshop.run("plan", "digits.h5", "--budget", "110kB", "--threads", "2", "--json")
      #expect(one.status == 0 && one.output == two.output)
    }
  }

  @Test func contractKeysOfThePlan() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let plan = try #require(
        try workshop.run("plan", "digits.h5", "--budget", "120kB", "--keep", "block*", "--json").json?.object)
      #expect(
        plan.keys == [
          "schema", "checkpoint", "sha256", "budget", "predicted", "original", "solver", "shadow_prices", "options",
          "layers", "kept", "frontier",
        ])
      #expect(plan["budget"]?.object?.keys == ["bytes", "macs", "ram", "latency"])
      #expect(plan["predicted"]?.object?.keys == ["bytes", "macs", "ram", "latency", "loss"])
      #expect(plan["original"]?.object?.keys == ["bytes", "parameters", "macs", "ram", "latency"])
      #expect(plan["solver"]?.object?.keys == ["loss", "lower_bound", "gap", "optimal"])
      let layers = try #require(plan["layers"]?.array)
      for layer in layers {
        #expect(
          layer.object?.keys == [
            "name", "operation", "shape", "structure", "ranks", "shapes", "bits", "parameters", "bytes", "macs", "loss",
            "discrepancy", "reason",
          ])
        if layer["name"]?.string?.hasPrefix("block") == true {
          #expect(layer["structure"] == "dense")
          #expect(layer["reason"]?.string?.contains("--keep 'block*'") == true)
        }
      }
      #expect(layers.contains { $0["structure"] != "dense" })
      let solver = try #require(plan["solver"])
      #expect(try #require(solver["lower_bound"]?.real) <= #require(solver["loss"]?.real))
    }
  }

  @Test func referenceOutputsGiveAccuracy() throws {
    try Workshop.with(["digits.h5", "digits.reference.npz"]) { workshop in
      let verify = try workshop.run("verify", "digits.h5", "--reference", "digits.reference.npz", "--json")
      #expect(verify.status == 0, "\(verify.errors)\(verify.output)")
      let verdict = try #require(verify.json)
      #expect(verdict["samples"]?.integer == 300)
      #expect(try #require(verdict["accuracy"]?.real) > 0.95)
      #expect(verdict["accuracy"] == verdict["original_accuracy"])
      let output = try #require(verdict["outputs"]?.array?.first)
      #expect(try #require(output["relative_discrepancy"]?.real) <= 1e-5)
      #expect(output["top1_agreement"]?.real == 1)
    }
  }

  @Test func thresholdsDecide() throws {
    try Workshop.with(["digits.h5", "digits.reference.npz"]) { workshop in
      let strict = try workshop.run(
        "verify", "digits.h5", "--reference", "digits.reference.npz", "--min-accuracy", "0.999", "--json")
      #expect(strict.status == 1)
      #expect(strict.json?["passed"]?.bool == false)
      #expect(strict.json?["failures"]?.array?.first?.string?.hasPrefix("accuracy: ") == true)
    }
  }

  @Test(.needsShared("mlperf_tiny/pretrainedResnet.h5", "mlperf_tiny/pretrainedResnet.reference.npz"))
  func theEngineGivesKerasOutputsOfResNet8() throws {
    try checkOutputs(of: "mlperf_tiny/pretrainedResnet.h5", "mlperf_tiny/pretrainedResnet.reference.npz")
  }

  @Test(.needsShared("mlperf_tiny/vww_96.h5", "mlperf_tiny/vww_96.reference.npz"))
  func theEngineGivesKerasOutputsOfVisualWakeWords() throws {
    try checkOutputs(of: "mlperf_tiny/vww_96.h5", "mlperf_tiny/vww_96.reference.npz")
  }

  @Test(.needsShared("mlperf_tiny/str_ww_ref_model.h5", "mlperf_tiny/str_ww_ref_model.reference.npz"))
  func theEngineGivesKerasOutputsOfKeywordSpotting() throws {
    try checkOutputs(of: "mlperf_tiny/str_ww_ref_model.h5", "mlperf_tiny/str_ww_ref_model.reference.npz")
  }

  @Test(.needsShared("eegnet/EEGNet-8-2-weights.h5", "eegnet/EEGNet-8-2-weights.reference.npz"))
  func theEngineGivesKerasOutputsOfEEGNet() throws {
    try checkOutputs(of: "eegnet/EEGNet-8-2-weights.h5", "eegnet/EEGNet-8-2-weights.reference.npz")
  }

  @Test(
    .needsShared(
      "face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5",
      "face_classification/fer2013_mini_XCEPTION.102-0.66.reference.npz"))
  func theEngineGivesKerasOutputsOfMiniXception() throws {
    try checkOutputs(
      of: "face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5",
      "face_classification/fer2013_mini_XCEPTION.102-0.66.reference.npz")
  }

  @Test(.needsShared("mobilenet_v1/mobilenet_v1_0.25_224.h5", "mobilenet_v1/mobilenet_v1_0.25_224.reference.npz"))
  func theEngineGivesKerasOutputsOfMobileNetV1() throws {
    try checkOutputs(of: "mobilenet_v1/mobilenet_v1_0.25_224.h5", "mobilenet_v1/mobilenet_v1_0.25_224.reference.npz")
  }

  private func checkOutputs(of checkpointName: String, _ referenceName: String) throws {
    let checkpoint = try #require(TestPath.shared(checkpointName))
    let reference = try #require(TestPath.shared(referenceName))
    try Workshop.with([]) { workshop in
      let verify = try workshop.run("verify", checkpoint, "--reference", reference, "--json")
      #expect(verify.status == 0, "\(verify.errors)\(verify.output)")
    }
  }

  @Test(.needsShared("cifar_resnet/resnet20.safetensors"))
  func halfOfResNet20WithoutGraph() throws { try checkHalf(of: "cifar_resnet/resnet20.safetensors") }

  /// The larger network has the structures that are searched soonest; the smaller one has all.
  @Test(.needsShared("cifar_resnet/resnet56.safetensors"))
  func halfOfResNet56WithoutGraph() throws {
    try checkHalf(of: "cifar_resnet/resnet56.safetensors", "--structures", "svd,tucker")
  }

  private func checkHalf(of name: String, _ options: String...) throws {
    let checkpoint = try #require(TestPath.shared(name))
    try Workshop.with([]) { workshop in
      let budget = try InputFile.read(checkpoint).count / 2
      #expect(
        try workshop.run(["plan", checkpoint, "--budget", "\(budget)", "-o", "plan.json"] + options).status == 0)
      let apply = try workshop.run(
        "apply", "plan.json", "-o", "half.safetensors", "--report", "half.html")
      #expect(apply.status == 0, "\(apply.errors)")
      #expect(try workshop.bytes("half.safetensors").count <= budget)
      let verify = try workshop.run("verify", "half.safetensors")
      #expect(verify.status == 0, "\(verify.errors)\(verify.output)")
      let strict = try workshop.run("verify", "half.safetensors", "--max-discrepancy", "1e-4")
      #expect(strict.status == 1, "a bound on the kernels' discrepancy holds without a graph too: \(strict.output)")
    }
  }
}

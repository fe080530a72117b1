import Basics
import Running

/// Where calibration samples come from and how they become inputs.
package struct CalibrationSource: Sendable, Equatable {
  /// The path of a data file, or of a text for a character model.
  package var path: String
  package var preparation: SamplePreparation

  package init(path: String, preparation: SamplePreparation = SamplePreparation()) {
    self.path = path
    self.preparation = preparation
  }
}

extension CalibrationSource {
  /// The source as plans state it.
  package var json: JSON {
    [
      "file": .string(path), "input_scale": .optional(preparation.scale, JSON.real),
      "input_mean": .array(preparation.mean.map(JSON.real)),
      "input_std": .array(preparation.standardDeviation.map(JSON.real)),
      "max_samples": .optional(preparation.maximumCount, JSON.integer),
    ]
  }

  /// Reads what a plan states.
  ///
  /// - Throws: `Failure` that names the key where one is missing, unknown or malformed.
  package init(_ json: JSON) throws {
    var reader = try JSONReader(
      json, "calibration", schema: PlanDocument.schema, remedy: "make the plan anew with kcompress plan")
    func finite(_ json: JSON) -> Double? { json.real.flatMap { $0.isFinite ? $0 : nil } }
    func numbers(_ json: JSON) -> [Double]? { json.reals.flatMap { $0.allSatisfy(\.isFinite) ? $0 : nil } }
    path = try reader.string("file")
    preparation = SamplePreparation(
      scale: try reader.optional("input_scale", finite, "a number"),
      mean: try reader.required("input_mean", numbers, "a list of numbers"),
      standardDeviation: try reader.required(
        "input_std", { numbers($0).flatMap { $0.contains(0) ? nil : $0 } }, "a list of numbers other than 0"),
      maximumCount: try reader.optional(
        "max_samples", { $0.integer.flatMap { $0 > 0 ? $0 : nil } }, "a positive count"))
    try reader.finish()
  }
}

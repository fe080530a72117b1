import Calibration
import Foundation
import Planning
import Plans
import Running
import TestSupport
import Testing

@testable import Compression

@Suite struct CalibratedApplyTests {
  /// From the README's network: the calibrated file of the same size must agree with the original far more often.
  @Test func calibrationKeepsWhatTheWeightsAloneLose() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: TestPath.fixture("digits.h5"), toPath: folder + "/digits.h5")
      let reference = TestPath.fixture("digits.reference.npz")
      let workers = Workers(count: 2)
      func agreement(_ calibration: CalibrationSource?) throws -> (agreement: Double, outcome: CalibrationOutcome?) {
        let request = PlanRequest(
          checkpoint: folder + "/digits.h5", budget: [.bytes: 76_000],
          recipe: Recipe(structures: ["cp", "tucker"]), calibration: calibration)
        guard case .plan(let plan) = try Planner.prepared(for: request, workers: workers, progress: .silent).plan()
        else {
          Issue.record("no plan")
          return (0, nil)
        }
        let path = folder + "/digits.plan.json"
        try Data(plan.json.text(.indented).utf8).write(to: URL(fileURLWithPath: path))
        let result = try ApplyRequest(plan: path, overwrite: true).run()
        #expect(result.bytes <= 76_000)
        let verdict = try VerifyRequest(
          checkpoint: result.output, reference: reference, thresholds: Thresholds(maximumDiscrepancy: 100)
        ).run()
        #expect(verdict.verdict == .passed, "\(verdict.failures)")
        return (verdict.examination.outputs.first?.topOneAgreement ?? 0, result.calibration)
      }
      let plain = try agreement(nil)
      let calibrated = try agreement(
        CalibrationSource(path: reference, preparation: SamplePreparation(maximumCount: 120)))
      let outcome = try #require(calibrated.outcome)
      #expect(plain.outcome == nil && outcome.samples == 120 && outcome.heldOut == 36)
      #expect(zip(outcome.losses, outcome.losses.dropFirst()).allSatisfy { $0 > $1 })
      #expect(calibrated.agreement >= plain.agreement, "\(calibrated.agreement) after \(plain.agreement)")
      #expect(calibrated.agreement >= 0.9)
    }
  }
}

import Foundation
import ModelGraph
import TensorCore

/// The time of one kind of operation in one type: the roofline (S. Williams, A. Waterman and D. Patterson, CACM 52(4), 2009) and what every
/// operation takes beside.
struct Roofline: Sendable, Equatable {
  /// Multiply-accumulates per second of wide and deep products; infinite for kinds without.
  var rate: Double
  /// The bandwidth in bytes per second.
  var bandwidth: Double
  /// What every operation takes beside, in seconds.
  var overhead: Double
  /// See `DeviceProfile.Speed`.
  var halfWidth: Double
  var halfDepth: Double

  /// - Parameter elementBytes: of one weight or activation.
  func seconds(of work: NodeWork, elementBytes: Double) -> Double {
    let bytes = Double(work.read + work.written + work.weights) * elementBytes
    let shortness = (1 + halfWidth / Double(work.width)) * (1 + halfDepth / Double(work.depth))
    return overhead + max(Double(work.macs) / rate * shortness, bytes / bandwidth)
  }
}

extension Roofline {
  /// The figures with the least sum of absolute errors, which a few runs that something disturbed do not move. Found by direct search (R. Hooke
  /// and T. A. Jeeves, JACM 8(2), 1961) over the logarithms of the figures: from the fastest and the least that was seen each figure in turn
  /// goes up and down as long as that helps, then by smaller steps. The best of three starts counts: short products that are slow, or not.
  /// What a figure is too large to matter for says nothing about it: no step goes far beyond what was seen.
  ///
  /// - Parameter times: of operations of one kind, at least one; positive.
  init(fitting times: [OperationTime], elementBytes: Double) {
    func error(_ roofline: Roofline) -> Double {
      times.reduce(0) { $0 + abs(roofline.seconds(of: $1.work, elementBytes: elementBytes) - $1.seconds) }
    }
    func highest(_ amount: (NodeWork) -> Int) -> Double {
      times.reduce(0) { Swift.max($0, Double(amount($1.work)) / $1.seconds) }
    }
    let (leastGain, furthest) = (1e-4, 16.0)
    let hasProducts = times.contains { $0.work.macs > 0 }
    let starts = (hasProducts ? [0.25, 4, 32] : [0]).map { half in
      Roofline(
        rate: hasProducts ? highest(\.macs) : .infinity,
        bandwidth: elementBytes * highest { $0.read + $0.written + $0.weights },
        overhead: times.map(\.seconds).min() ?? 0, halfWidth: half, halfDepth: half)
    }
    let figures: [WritableKeyPath<Roofline, Double>] =
      (hasProducts ? [\.rate, \.halfWidth, \.halfDepth] : []) + [\.bandwidth, \.overhead]
    let found = starts.map { start in
      var (best, least, step) = (start, error(start), 4.0)
      while step > 1.001 {
        let before = least
        for figure in figures {
          for factor in [step, 1 / step] {
            var next = best
            next[keyPath: figure] *= factor
            let nextError = error(next)
            if nextError < least * (1 - leastGain), next[keyPath: figure] <= furthest * start[keyPath: figure] {
              (best, least) = (next, nextError)
            }
          }
        }
        if least == before { step = step.squareRoot() }
      }
      return (roofline: best, error: least)
    }
    self = (found.min { $0.error < $1.error } ?? found[0]).roofline.rounded
  }

  /// The roofline to four digits, without what is too small to matter: a nanosecond, a hundredth of a channel.
  private var rounded: Roofline {
    func rounded(_ value: Double, atLeast threshold: Double = 0) -> Double {
      guard value > 0, value.isFinite, value >= threshold else { return value.isFinite ? 0 : value }
      let unit = pow(10, (log10(value)).rounded(.down) - 3)
      return (value / unit).rounded() * unit
    }
    return Roofline(
      rate: rounded(rate), bandwidth: rounded(bandwidth), overhead: rounded(overhead, atLeast: 1e-9),
      halfWidth: rounded(halfWidth, atLeast: 0.01), halfDepth: rounded(halfDepth, atLeast: 0.01))
  }
}

/// How long one operation took.
package struct OperationTime: Sendable {
  package let work: NodeWork
  package let seconds: Double

  package init(_ work: NodeWork, seconds: Double) {
    self.work = work
    self.seconds = seconds
  }
}

extension DeviceProfile {
  /// A device whose speeds are fitted to what operations took on it. A kind of which nothing was timed is as fast as all others
  /// together that multiply and accumulate, or that do not.
  ///
  /// - Parameters:
  ///   - dtype: in which they computed.
  ///   - times: at least one; positive.
  package init(
    name: String, description: String, source: String, flash: Int?, ram: Int?, dtype: DType,
    fitting times: [OperationTime]
  ) {
    let elementBytes = Double(dtype.bits) / 8
    func speed(_ times: [OperationTime]) -> Speed {
      let roofline = Roofline(fitting: times, elementBytes: elementBytes)
      return Speed(
        macsPerSecond: roofline.rate.isFinite ? [dtype: roofline.rate] : [:], bandwidth: roofline.bandwidth,
        overhead: roofline.overhead, halfWidth: roofline.halfWidth, halfDepth: roofline.halfDepth)
    }
    let byKind = Dictionary(grouping: times, by: \.work.kind)
    var operations: [OperationKind: Speed] = [:]
    for hasProducts in [true, false] {
      let kinds = OperationKind.allCases.filter { $0.hasProducts == hasProducts }
      let all = times.filter { $0.work.kind.hasProducts == hasProducts }
      guard !all.isEmpty else { continue }
      let general = speed(all)
      for kind in kinds { operations[kind] = byKind[kind].map(speed) ?? general }
    }
    let whole = Roofline(fitting: times, elementBytes: elementBytes)
    self.init(
      name: name, description: description, source: source, flash: flash, ram: ram, dtype: dtype,
      bandwidth: whole.bandwidth, overhead: whole.overhead, operations: operations)
  }
}

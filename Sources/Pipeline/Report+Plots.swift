import Foundation

/// The plots of losses: what other sizes would have cost, and predicted against measured, layer by layer.
extension Report {
  var lossPictures: String {
    var text = ""
    let frontier = plan.frontier.filter { $0.loss > 0 }.map { (x: Double($0.bytes), y: $0.loss) }
    if frontier.count > 1 {
      text += "<h2>Loss against size</h2>\n"
      text += Plot(xTitle: "bytes of the file", yTitle: "loss", xScale: .bytes)
        .svg(
          lines: [frontier], marks: [(Double(plan.predicted.bytes), plan.predicted.loss, "this plan")],
          label: "The least loss for every size of the file, and this plan")
    }
    let losses = result.calibration?.layerLosses ?? [:]
    let pairs = plan.layers.compactMap { layer in
      losses[layer.name].map { (x: layer.loss, y: $0, name: layer.name) }
    }.filter { $0.x > 0 && $0.y > 0 }
    if pairs.count > 1 {
      let ends = pairs.flatMap { [$0.x, $0.y] }
      let (low, high) = (ends.min() ?? 1, ends.max() ?? 1)
      text += "<h2>Predicted and measured loss of every layer alone</h2>\n"
      text += Plot(xTitle: "predicted", yTitle: "measured")
        .svg(
          lines: [[(low, low), (high, high)]], marks: pairs.map { ($0.x, $0.y, $0.name) }, isLabelled: false,
          label: "Predicted against measured loss, one mark for each layer; on the line they are equal")
    }
    return text
  }
}

/// Lines and marks over axes with a few numbers.
struct Plot {
  let xTitle: String
  let yTitle: String
  var xScale = Axis.Scale.logarithmic
  var yScale = Axis.Scale.logarithmic

  private static let (width, height) = (1000.0, 420.0)
  private static let (left, right, top, bottom) = (90.0, 30.0, 14.0, 52.0)

  func svg(
    lines: [[(x: Double, y: Double)]], marks: [(x: Double, y: Double, name: String)], isLabelled: Bool = true,
    label: String
  ) -> String {
    let points = Array(lines.joined())
    let x = Axis(points.map(\.x) + marks.map(\.x), xScale)
    let y = Axis((points.map(\.y) + marks.map(\.y)).filter { $0 > 0 }, yScale)
    func place(_ px: Double, _ py: Double) -> (x: String, y: String) {
      let across = Self.left + x.part(px) * (Self.width - Self.left - Self.right)
      let down = Self.height - Self.bottom - y.part(py) * (Self.height - Self.top - Self.bottom)
      return (Self.text(across), Self.text(down))
    }
    var shapes = ""
    for tick in x.ticks {
      let end = place(tick, y.low)
      shapes +=
        "<text x=\"\(end.x)\" y=\"\(Self.text(Self.height - 34))\" text-anchor=\"middle\" fill=\"#5b6b7c\">\(x.label(tick))</text>\n"
    }
    for tick in y.ticks {
      let end = place(x.low, tick)
      shapes +=
        "<line x1=\"\(end.x)\" x2=\"\(Self.text(Self.width - Self.right))\" y1=\"\(end.y)\" y2=\"\(end.y)\" stroke=\"#e2e8ee\"/>"
        + "<text x=\"\(Self.text(Self.left - 8))\" y=\"\(end.y)\" text-anchor=\"end\" dominant-baseline=\"middle\" fill=\"#5b6b7c\">\(y.label(tick))</text>\n"
    }
    for line in lines {
      let path = line.map { place($0.x, $0.y) }.map { "\($0.x),\($0.y)" }.joined(separator: " ")
      shapes += "<polyline points=\"\(path)\" fill=\"none\" stroke=\"#8a9bab\" stroke-width=\"2\"/>\n"
    }
    for mark in marks {
      let center = place(mark.x, mark.y)
      let name = Report.escaped(mark.name)
      shapes +=
        "<circle cx=\"\(center.x)\" cy=\"\(center.y)\" r=\"4\" fill=\"#1f7a8c\"><title>\(name)</title></circle>\n"
      if isLabelled { shapes += "<text x=\"\(center.x)\" y=\"\(center.y)\" dx=\"8\" dy=\"-6\">\(name)</text>\n" }
    }
    return """
      <svg viewBox="0 0 \(Self.text(Self.width)) \(Self.text(Self.height))" role="img" aria-label="\(Report.escaped(label))">
      \(shapes)<text x="\(Self.text(Self.width / 2))" y="\(Self.text(Self.height - 10))" text-anchor="middle">\(xTitle)</text>
      <text x="14" y="\(Self.text(Self.height / 2))" transform="rotate(-90 14 \(Self.text(Self.height / 2)))" text-anchor="middle">\(yTitle)</text>
      </svg>
      <p class="note">\(Report.escaped(label)).</p>

      """
  }

  private static func text(_ number: Double) -> String { String(format: "%.1f", number) }
}

/// The extent of one axis and the numbers that it shows.
struct Axis {
  enum Scale {
    /// From 0, shown in their unit.
    case bytes
    /// Whole powers of 10.
    case logarithmic
    /// Just what the values need.
    case tight
  }

  let low: Double
  let high: Double
  private let scale: Scale

  init(_ values: [Double], _ scale: Scale) {
    self.scale = scale
    let (least, most) = (values.min() ?? 1, values.max() ?? 1)
    switch scale {
    case .logarithmic:
      (low, high) = (pow(10, floor(log10(least))), pow(10, max(floor(log10(least)) + 1, ceil(log10(most)))))
    case .bytes: (low, high) = (0, most > 0 ? most : 1)
    case .tight:
      let margin = most > least ? 0.05 * (most - least) : 0.05 * max(1, abs(most))
      (low, high) = (least - margin, most + margin)
    }
  }

  /// From 0 at the beginning to 1 at the end.
  func part(_ value: Double) -> Double {
    scale == .logarithmic ? log(max(value, low) / low) / log(high / low) : (value - low) / (high - low)
  }

  var ticks: [Double] {
    guard scale == .logarithmic else { return (0...5).map { low + (high - low) * Double($0) / 5 } }
    let (first, last) = (Int(log10(low).rounded()), Int(log10(high).rounded()))
    let step = max(1, (last - first + 7) / 8)
    return stride(from: first, through: last, by: step).map { pow(10, Double($0)) }
  }

  func label(_ tick: Double) -> String {
    switch scale {
    case .bytes: Format.bytes(Int(tick))
    case .logarithmic: String(format: "%g", tick)
    case .tight: Format.number(tick)
    }
  }
}

import Foundation

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
      let name = HTMLPage.escaped(mark.name)
      shapes +=
        "<circle cx=\"\(center.x)\" cy=\"\(center.y)\" r=\"4\" fill=\"#1f7a8c\"><title>\(name)</title></circle>\n"
      if isLabelled { shapes += "<text x=\"\(center.x)\" y=\"\(center.y)\" dx=\"8\" dy=\"-6\">\(name)</text>\n" }
    }
    return """
      <svg viewBox="0 0 \(Self.text(Self.width)) \(Self.text(Self.height))" role="img" aria-label="\(HTMLPage.escaped(label))">
      \(shapes)<text x="\(Self.text(Self.width / 2))" y="\(Self.text(Self.height - 10))" text-anchor="middle">\(xTitle)</text>
      <text x="14" y="\(Self.text(Self.height / 2))" transform="rotate(-90 14 \(Self.text(Self.height / 2)))" text-anchor="middle">\(yTitle)</text>
      </svg>
      <p class="note">\(HTMLPage.escaped(label)).</p>

      """
  }

  private static func text(_ number: Double) -> String { String(format: "%.1f", number) }
}

import Foundation

/// The plots of losses: what other sizes would have cost, and predicted against measured, layer by layer.
extension ApplyReport {
  var lossPictures: String {
    var text = ""
    let frontier = plan.frontier.map(\.costs).filter { $0.loss > 0 }.map { (x: Double($0.bytes), y: $0.loss) }
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

import Basics

/// The picture of where the bytes went: for every layer a pale bar for its size before and a full one for its size after.
extension ApplyReport {
  private static let rowHeight = 18
  private static let labelWidth = 230
  private static let barWidth = 640

  var bytesPicture: String {
    let layers = plan.layers
    // Without its own dtype a layer's bytes per parameter tell what the dense layer took. Who edits a plan need not keep them in
    // proportion: sums and products are real numbers, which do not overflow.
    let before = layers.map { layer in
      let width = layer.parameters > 0 ? layer.bytes / layer.parameters : 4
      return Double(layer.shape.reduce(1, *)) * Double(width)
    }
    let largest = max(1, zip(layers, before).map { max(Double($0.bytes), $1) }.max() ?? 1)
    let layerBytes = layers.reduce(0) { $0 + Double($1.bytes) }
    let rest = max(0, Double(result.bytes) - layerBytes)
    let height = (layers.count + 2) * Self.rowHeight + 8
    var shapes = ""
    for (row, layer) in layers.enumerated() {
      shapes += bar(
        row, label: layer.name, note: "\(Format.bytes(layer.bytes)) \(layer.formName)",
        before: before[row], after: Double(layer.bytes), largest: largest,
        color: layer.isUnchanged ? "#8a9bab" : "#1f7a8c")
    }
    shapes += bar(
      layers.count, label: "everything else", note: Format.bytes(Int(rest)), before: 0, after: min(rest, largest),
      largest: largest, color: "#c9a227")
    return """
      <svg viewBox="0 0 1000 \(height)" role="img" aria-label="Bytes of every layer before and after">
      \(shapes)<text x="\(Self.labelWidth)" y="\(height - 6)" fill="#5b6b7c">pale: before; full: after; \
      everything else: other tensors, names and headers</text>
      </svg>
      """
  }

  private func bar(
    _ row: Int, label: String, note: String, before: Double, after: Double, largest: Double, color: String
  ) -> String {
    let y = row * Self.rowHeight + 4
    func width(_ bytes: Double) -> Int { bytes == 0 ? 0 : max(1, Int(bytes * Double(Self.barWidth) / largest)) }
    let shown = label.count > 34 ? "…" + label.suffix(33) : label[...]
    let end = Self.labelWidth + max(width(before), width(after)) + 6
    return """
      <text x="\(Self.labelWidth - 8)" y="\(y + 11)" text-anchor="end">\(HTMLPage.escaped(String(shown)))</text>
      <rect x="\(Self.labelWidth)" y="\(y)" width="\(width(before))" height="13" fill="\(color)" opacity="0.25"/>
      <rect x="\(Self.labelWidth)" y="\(y)" width="\(width(after))" height="13" fill="\(color)"/>
      <text x="\(end)" y="\(y + 11)" fill="#5b6b7c">\(HTMLPage.escaped(note))</text>

      """
  }
}

extension JSON {
  /// How a document is laid out.
  package enum Layout: Sendable {
    /// No white space: what goes into checkpoints.
    case compact
    /// Two spaces of indentation; arrays without objects inside stay on one line: plans and reports.
    case indented
  }

  /// The document as text; the same value gives the same bytes.
  package func text(_ layout: Layout = .compact) -> String {
    var text = ""
    write(to: &text, layout, indentation: 0)
    return text
  }

  private func write(to text: inout String, _ layout: Layout, indentation: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let value): text += value
    case .string(let value): Self.quote(value, to: &text)
    case .array(let values):
      let isFlat = layout != .indented || !values.contains { $0.object != nil }
      Self.enclose("[", "]", values, to: &text, layout, indentation, isFlat: isFlat) { value, text in
        value.write(to: &text, layout, indentation: indentation + 1)
      }
    case .object(let object):
      Self.enclose("{", "}", object.pairs, to: &text, layout, indentation, isFlat: layout != .indented) {
        pair, text in
        Self.quote(pair.key, to: &text)
        text += layout == .compact ? ":" : ": "
        pair.value.write(to: &text, layout, indentation: indentation + 1)
      }
    }
  }

  private static func enclose<Item>(
    _ open: String, _ close: String, _ items: [Item], to text: inout String, _ layout: Layout,
    _ indentation: Int, isFlat: Bool, _ write: (Item, inout String) -> Void
  ) {
    func newLine(_ depth: Int) -> String { "\n" + String(repeating: "  ", count: depth) }
    text += open
    for (position, item) in items.enumerated() {
      if position > 0 { text += layout == .compact || !isFlat ? "," : ", " }
      if !isFlat { text += newLine(indentation + 1) }
      write(item, &text)
    }
    if !isFlat, !items.isEmpty { text += newLine(indentation) }
    text += close
  }

  private static func quote(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        if scalar.value < 0x20 {
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}

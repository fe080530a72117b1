import ModelGraph

/// Writes what the window sees at each output position as one row: (tap, channel), zero outside the input.
struct ChannelsLastPatches {
  let geometry: Geometry
  let copies: Int
  /// Channels of one position, of one copy of the weight and of one group.
  let (channels, channelsPerCopy, run): (Int, Int, Int)

  init(geometry: Geometry, convolution: Convolution) {
    self.geometry = geometry
    copies = convolution.batch
    channels = convolution.inputChannels
    channelsPerCopy = convolution.inputsPerCopy
    run = convolution.kernelShape[1]
  }

  /// Rows (position, copy) for some output positions, counted through all images.
  func fill(
    _ positions: Range<Int>, group: Int, from source: Span<Float>, into target: inout MutableSpan<Float>
  ) {
    let g = geometry
    let lineLength = g.kernel.width * run
    let rowLength = g.kernel.depth * g.kernel.height * lineLength
    var row = 0
    g.forEachStretch(positions) { stretch in
      for kernelDepth in 0..<g.kernel.depth {
        let depth = stretch.depth * g.stride.depth + kernelDepth * g.dilation.depth - g.before.depth
        for kernelRow in 0..<g.kernel.height {
          let height = stretch.row * g.stride.height + kernelRow * g.dilation.height - g.before.height
          let first =
            row * rowLength + (kernelDepth * g.kernel.height + kernelRow) * lineLength
          let isInside = depth >= 0 && depth < g.input.depth && height >= 0 && height < g.input.height
          fill(
            stretch.columns,
            line: isInside ? (stretch.image * g.input.depth + depth) * g.input.height + height : nil,
            group: group, from: source, into: &target, at: first, rowLength: rowLength)
        }
      }
      row += stretch.columns.count * copies
    }
  }

  /// What one row of the kernel sees of one line of the input: for each column and copy (tap, channel), a row length apart.
  ///
  /// - Parameter line: counted through all images; nil for a line of the border.
  @inline(__always)
  func fill(
    _ columns: Range<Int>, line: Int?, group: Int, from source: Span<Float>,
    into target: inout MutableSpan<Float>, at first: Int, rowLength: Int
  ) {
    guard let line else {
      let lineLength = geometry.kernel.width * run
      for i in 0..<columns.count * copies {
        fillRun(&target, at: first + i * rowLength, count: lineLength)
      }
      return
    }
    if geometry.dilation.width == 1, run == channels {
      copyLines(columns, source, line * geometry.input.width, &target, first, rowLength)
    } else {
      copyTaps(columns, source, line * geometry.input.width, group * run, &target, first, rowLength)
    }
  }

  /// The taps of one kernel row are neighbours in the input: one copy for each position.
  private func copyLines(
    _ columns: Range<Int>, _ source: Span<Float>, _ line: Int, _ target: inout MutableSpan<Float>,
    _ first: Int, _ rowLength: Int
  ) {
    let width = geometry.kernel.width
    var to = first
    for column in columns {
      let start = column * geometry.stride.width - geometry.before.width
      let head = min(max(-start, 0), width)
      let end = max(head, min(width, geometry.input.width - start))
      fillRun(&target, at: to, count: head * run)
      copyRun(
        source, at: (line + start + head) * run, to: &target, at: to + head * run,
        count: (end - head) * run)
      fillRun(&target, at: to + end * run, count: (width - end) * run)
      to += rowLength
    }
  }

  private func copyTaps(
    _ columns: Range<Int>, _ source: Span<Float>, _ line: Int, _ channel: Int,
    _ target: inout MutableSpan<Float>, _ first: Int, _ rowLength: Int
  ) {
    let g = geometry
    for tap in 0..<g.kernel.width {
      var to = first + tap * run
      for column in columns {
        let place = column * g.stride.width + tap * g.dilation.width - g.before.width
        let isInside = place >= 0 && place < g.input.width
        var from = (line + place) * channels + channel
        for _ in 0..<copies {
          if !isInside {
            fillRun(&target, at: to, count: run)
          } else if run < 8 {
            for i in 0..<run { target[to + i] = source[from + i] }
          } else {
            copyRun(source, at: from, to: &target, at: to, count: run)
          }
          to += rowLength
          from += channelsPerCopy
        }
      }
    }
  }
}

/// Writes what each tap of each channel sees as one row over output positions, zero outside the input.
struct ChannelsFirstPatches {
  let geometry: Geometry
  let channels: Int

  /// Rows (channel, tap) for some output positions of one image whose planes begin at `offset`.
  func fill(
    _ positions: Range<Int>, from source: Span<Float>, at offset: Int,
    into target: inout MutableSpan<Float>
  ) {
    let g = geometry
    let plane = g.input.count
    let taps = g.kernel.count
    var column = 0
    g.forEachStretch(positions) { stretch in
      for tap in 0..<taps {
        let (line, kernelColumn) = tap.quotientAndRemainder(dividingBy: g.kernel.width)
        let (kernelDepth, kernelRow) = line.quotientAndRemainder(dividingBy: g.kernel.height)
        let depth = stretch.depth * g.stride.depth + kernelDepth * g.dilation.depth - g.before.depth
        let height = stretch.row * g.stride.height + kernelRow * g.dilation.height - g.before.height
        let isInside = depth >= 0 && depth < g.input.depth && height >= 0 && height < g.input.height
        let inside =
          isInside
          ? Geometry.inside(
            tap: kernelColumn, input: g.input.width, output: g.output.width, stride: g.stride.width,
            dilation: g.dilation.width, before: g.before.width
          ).clamped(to: stretch.columns)
          : stretch.columns.lowerBound..<stretch.columns.lowerBound
        let start =
          offset + (depth * g.input.height + height) * g.input.width
          + inside.lowerBound * g.stride.width + kernelColumn * g.dilation.width - g.before.width
        let head = inside.lowerBound - stretch.columns.lowerBound
        let tail = stretch.columns.upperBound - inside.upperBound
        for channel in 0..<channels {
          let to = (channel * taps + tap) * positions.count + column
          fillRun(&target, at: to, count: head)
          if g.stride.width == 1 {
            if !inside.isEmpty {
              copyRun(source, at: start + channel * plane, to: &target, at: to + head, count: inside.count)
            }
          } else {
            for i in 0..<inside.count {
              target[to + head + i] = source[start + channel * plane + i * g.stride.width]
            }
          }
          fillRun(&target, at: to + head + inside.count, count: tail)
        }
      }
      column += stretch.columns.count
    }
  }
}

/// A layer as it is in the original checkpoint, in the terms of stages.
extension Layer {
  /// The stages of the layer as it is: its convolution and its bias.
  public var denseStages: [Stage] {
    [.convolution(convolution)] + (bias == nil ? [] : [.bias(channels: convolution.outputChannels)])
  }

  /// The parameters of kernel and bias.
  public var denseParameterCount: Int { denseStages.parameterCount }

  /// The multiply-accumulates of all uses for one sample; nil where extents are unknown.
  public var denseMACs: Int? { macs(denseStages) }
}

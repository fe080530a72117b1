import ModelGraph

extension Candidate {
  /// The multiply-accumulates for one output position, without stride.
  public var macsPerPosition: Int { stages.convolutions.reduce(0) { $0 + $1.macsPerPosition } }
}

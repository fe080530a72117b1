import Basics

/// Where the halving of the learning rate stands, for a file.
extension PlateauHalving {
  package var json: JSON { ["factor": .real(factor), "best": .real(best), "waited": .integer(waited)] }

  /// Goes on where a stored one was; a best loss that is no number was none yet.
  ///
  /// - Returns: nil for what is none.
  package init?(_ json: JSON?, patience: Int) {
    guard let factor = json?["factor"]?.real, let waited = json?["waited"]?.integer else { return nil }
    self.init(patience: patience, factor: factor, best: json?["best"]?.real ?? .infinity, waited: waited)
  }
}

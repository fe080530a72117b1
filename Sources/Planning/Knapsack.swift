public struct KnapsackItem: Sendable { public let cost: Int; public let loss: Double; public init(cost: Int, loss: Double) { self.cost = cost; self.loss = loss } }
public struct Knapsack { public struct Solution { public let choices: [Int]; public let cost: Int; public let loss: Double; public let lowerBound: Double }
 public init(groups: [[KnapsackItem]], capacity: Int) {}
 public func solve() -> Solution? { nil } }

import AttentionCore
import SampleAttention

/// One set of parameters tried on one head, and what it measured. A record; it never changes.
public struct FrozenTrial: Hashable, Sendable, Codable {
    public let length, layer, head: Int
    /// 0, 1, … within a head.
    public let number: Int
    public let parameters: SampleAttentionParameters
    public let measured: TunedConfig.Measurement
    /// Work relative to dense attention; see `TunedConfig.Head.cost`.
    public let cost: Double

    public init(
        length: Int, layer: Int, head: Int, number: Int, parameters: SampleAttentionParameters, measured: TunedConfig.Measurement
    ) {
        self.length = length
        self.layer = layer
        self.head = head
        self.number = number
        self.parameters = parameters
        self.measured = measured
        cost = TunedConfig.Head(parameters: parameters, measured: measured).cost
    }

    /// Full attention, the choice that is always there.
    static func dense(length: Int, layer: Int, head: Int) -> FrozenTrial {
        FrozenTrial(
            length: length, layer: layer, head: head, number: -1, parameters: .dense,
            measured: .init(meanMass: 1, p1Mass: 1, minMass: 1, density: 1))
    }
}

/// What a head's parameters must keep on the tuning text to be eligible.
public struct RetainedMassFloor: Hashable, Sendable, Codable {
    /// Least mean over query rows.
    public var mean: Fraction
    /// Least 1st percentile over query rows: a mean hides the rare rows that look something up far away.
    public var p1: Fraction

    public init(mean: Fraction, p1: Fraction) {
        self.mean = mean
        self.p1 = p1
    }

    public func accepts(_ measured: TunedConfig.Measurement) -> Bool {
        measured.meanMass >= mean.value && measured.p1Mass >= p1.value
    }

    /// The cheapest eligible trial of one head; dense when none is, or none is cheaper. Ties go to the lower number.
    public func cheapest(_ trials: [FrozenTrial], length: Int, layer: Int, head: Int) -> FrozenTrial {
        let eligible = trials.filter {
            $0.length == length && $0.layer == layer && $0.head == head && $0.cost < 1 && accepts($0.measured)
        }
        return eligible.min { ($0.cost, $0.number) < ($1.cost, $1.number) } ?? .dense(length: length, layer: layer, head: head)
    }
}

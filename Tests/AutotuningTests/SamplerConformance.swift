import AttentionCore
import Autotuning
import Testing

/// A sampler and the space it is made for.
struct SamplerCase: Sendable, CustomTestStringConvertible {
    let kind: SamplerKind
    let dimensions, objectives: Int

    func make(seed: UInt64 = 1) -> any Sampler { kind.make(dimensions: dimensions, objectives: objectives, seed: seed) }

    var testDescription: String { "\(kind.rawValue), \(dimensions) dimensions, \(objectives) objectives" }

    static let all = SamplerKind.allCases.flatMap { kind in
        [(1, 1), (3, 1), (1, 2), (3, 2), (41, 1)].map { SamplerCase(kind: kind, dimensions: $0, objectives: $1) }
    }

    /// Smooth, with the best places inside the cube.
    func objective(_ point: [Double]) -> [Double] {
        [0.3, 0.7].prefix(objectives).map { best in point.reduce(0) { $0 + ($1 - best) * ($1 - best) } }
    }
}

/// What `Sampler` promises, asked of every sampler.
@Suite struct SamplerConformance {
    /// Trials enough for every sampler to be past its first, evenly spread ones.
    static let trials = 60

    static func run(_ sampler: inout any Sampler, trials: Int, objective: ([Double]) -> [Double]?) -> [[Double]] {
        (0..<trials).map { _ in
            let point = sampler.ask()
            sampler.tell(point, values: objective(point))
            return point
        }
    }

    static func isInside(_ point: [Double], _ subject: SamplerCase) -> Bool {
        point.count == subject.dimensions && point.allSatisfy { (0...1).contains($0) }
    }

    /// The best places are a corner of the cube, which pulls proposals over its border.
    @Test(arguments: SamplerCase.all) func proposalsLieInTheCube(_ subject: SamplerCase) {
        var sampler = subject.make()
        #expect(sampler.dimensions == subject.dimensions && sampler.objectives == subject.objectives)
        let points = Self.run(&sampler, trials: Self.trials) { point in
            Array([point.reduce(0, +), point.reduce(0) { $0 + $1 * $1 }].prefix(subject.objectives))
        }
        #expect(points.allSatisfy { Self.isInside($0, subject) })
    }

    @Test(arguments: SamplerCase.all) func theSeedDecides(_ subject: SamplerCase) {
        func points(seed: UInt64) -> [[Double]] {
            var sampler = subject.make(seed: seed)
            return Self.run(&sampler, trials: Self.trials, objective: subject.objective)
        }
        #expect(points(seed: 1) == points(seed: 1))
        #expect(points(seed: 1) != points(seed: 2))
    }

    /// A study that goes on from its journal is the study that never stopped; so is one that went on from a copy.
    @Test(arguments: SamplerCase.all, [7, 40]) func toldAnewItGoesOnAlike(_ subject: SamplerCase, told: Int) {
        var first = subject.make()
        let points = Self.run(&first, trials: told, objective: subject.objective)
        var copy = first
        let rest = Self.run(&first, trials: 10, objective: subject.objective)
        var second = subject.make()
        for point in points { second.tell(point, values: subject.objective(point)) }
        #expect(Self.run(&second, trials: 10, objective: subject.objective) == rest)
        #expect(Self.run(&copy, trials: 10, objective: subject.objective) == rest)
    }

    /// Workers ask together and tell in any order.
    @Test(arguments: SamplerCase.all) func proposalsOfABatchDiffer(_ subject: SamplerCase) {
        var sampler = subject.make()
        var seen: Set<[Double]> = []
        for _ in 0..<12 {
            let batch = (0..<5).map { _ in sampler.ask() }
            #expect(batch.allSatisfy { Self.isInside($0, subject) })
            #expect(Set(batch).count == 5 && seen.isDisjoint(with: batch))
            seen.formUnion(batch)
            for point in batch.reversed() { sampler.tell(point, values: subject.objective(point)) }
        }
    }

    /// Every place is on the front, so none may be left out for long.
    @Test(arguments: SamplerKind.allCases, 1...3 as ClosedRange<UInt64>) func theWholeFrontIsKept(_ kind: SamplerKind, seed: UInt64) {
        var sampler = kind.make(dimensions: 1, objectives: 2, seed: seed)
        let points = Self.run(&sampler, trials: 300) { [$0[0], 1 - $0[0]] }
        let last = ([[0]] + points.suffix(100) + [[1]]).map { $0[0] }.sorted()
        let gap = zip(last, last.dropFirst()).map { $1 - $0 }.max()!
        #expect(gap < 0.2, "\(gap)")
    }

    /// Trials that fail, or measure nonsense, are no good places and no poison: the best ones are still found.
    @Test(arguments: SamplerCase.all.filter { $0.dimensions < 10 })
    func failedTrialsDoNoHarm(_ subject: SamplerCase) {
        var sampler = subject.make()
        let nonsense: [Double] = [.nan, .infinity, -.infinity]
        var number = 0
        let points = Self.run(&sampler, trials: 2 * Self.trials) { point in
            number += 1
            if point[0] <= 0.5 { return subject.objective(point) }
            return number % 4 == 0 ? nil : Array(repeating: nonsense[number % 4 - 1], count: subject.objectives)
        }
        #expect(points.allSatisfy { Self.isInside($0, subject) })
        guard subject.kind != .quasiRandom else { return }
        let good = points.suffix(Self.trials).count { $0[0] <= 0.5 }
        #expect(good > Self.trials * 6 / 10, "\(good) of the last \(Self.trials) trials could succeed")
    }

    @Test(arguments: SamplerCase.all) func nothingButFailuresIsNoEnd(_ subject: SamplerCase) {
        var sampler = subject.make()
        let points = Self.run(&sampler, trials: Self.trials) { _ in nil }
        #expect(Set(points).count == Self.trials && points.allSatisfy { Self.isInside($0, subject) })
    }

    @Test(arguments: SamplerCase.all) func aConstantObjectiveIsExploredOn(_ subject: SamplerCase) {
        var sampler = subject.make()
        let points = Self.run(&sampler, trials: Self.trials) { _ in Array(repeating: 0.25, count: subject.objectives) }
        #expect(Set(points).count == Self.trials && points.allSatisfy { Self.isInside($0, subject) })
        // Nothing is better anywhere: no quarter of the first axis may be forgotten.
        for quarter in 0..<4 { #expect(points.contains { Int(min($0[0], 0.999) * 4) == quarter }) }
    }

    /// The same trial told again and again, and trials nobody asked for.
    @Test(arguments: SamplerCase.all) func trialsMayBeToldTwice(_ subject: SamplerCase) {
        var sampler = subject.make()
        let corner = [Double](repeating: 0, count: subject.dimensions)
        for _ in 0..<30 { sampler.tell(corner, values: subject.objective(corner)) }
        let points = (0..<Self.trials).map { _ in
            let point = sampler.ask()
            for _ in 0..<2 { sampler.tell(point, values: subject.objective(point)) }
            return point
        }
        #expect(points.allSatisfy { Self.isInside($0, subject) && $0 != corner })
        #expect(Set(points).count > Self.trials * 9 / 10)
    }

    /// Of 64 points every sixteenth of every face holds about four.
    @Test func quasiRandomProposalsAreEven() {
        var sampler = SamplerKind.quasiRandom.make(dimensions: 3, objectives: 1, seed: 3)
        let points = Self.run(&sampler, trials: 64) { _ in [0] }
        for (first, second) in [(0, 1), (0, 2), (1, 2)] {
            var counts = [Int](repeating: 0, count: 16)
            for point in points { counts[Int(point[first] * 4) * 4 + Int(point[second] * 4)] += 1 }
            #expect(counts.allSatisfy { (1...9).contains($0) }, "\(counts)")
        }
    }

    @Test func samplersGoByTheirNames() throws {
        #expect(SamplerKind.allCases.map(\.rawValue) == ["quasi-random", "tpe"])
        for kind in SamplerKind.allCases { #expect(SamplerKind(rawValue: kind.rawValue) == kind) }
    }

    @Test func pointsOutsideTheCubeTrap() async {
        await #expect(processExitsWith: .failure) {
            var sampler = SamplerKind.tpe.make(dimensions: 2, objectives: 1, seed: 1)
            sampler.tell([0.5, 1.5], values: [1])
        }
        await #expect(processExitsWith: .failure) {
            var sampler = SamplerKind.tpe.make(dimensions: 2, objectives: 2, seed: 1)
            sampler.tell([0.5, 0.5], values: [1])
        }
    }
}

/// Checks measured errors against bounds and collects the outcome, one `BoundCheck` a bound and one an identity.
///
/// A value: give each task its own and `merge` them in a fixed order, then the result does not depend on the schedule.
///
/// ```swift
/// var verifier = BoundVerifier()
/// verifier.verify(head, keeping: [.windowColumns(WindowColumns(window: 512, columns: [0]))], label: "layer 0 head 3")
/// print(verifier.holds, verifier.checks.map { ($0.name, $0.violations, $0.maxRatio) })
/// ```
public struct BoundVerifier: Sendable {
    /// One entry for each bound, in order, then the two identities, then what is claimed of a kernel's own output: its rounding,
    /// and each valid bound for the renormalised output with the rounding added.
    ///
    /// For an identity the measurement is its residual and the limit is the rounding allowance, so `maxRatio` is
    /// residual/allowance; for a kernel's rounding it is deviation/allowance, for its bounds error/(bound + allowance).
    public private(set) var checks: [BoundCheck]
    private let bounds: [any OutputErrorBound]
    private let kernelBounds: [any OutputErrorBound]

    public init(bounds: [any OutputErrorBound] = StandardBounds.all) {
        self.bounds = bounds
        kernelBounds = bounds.filter { $0.valid && $0.output == .renormalised }
        checks =
            bounds.map { BoundCheck(name: $0.name, valid: $0.valid, statement: $0.statement) } + Self.identities
            + [
                BoundCheck(
                    name: "kernel-rounding", valid: true,
                    statement: "per row the kernel's output is within its rounding allowance of ô, L1")
            ]
            + kernelBounds.map {
                BoundCheck(
                    name: "kernel-" + $0.name, valid: true,
                    statement: "\($0.name) per row for the kernel's own output, with its rounding allowance added to the bound")
            }
    }

    private static let identities = [
        BoundCheck(
            name: "identity-unrenormalised", valid: true,
            statement: "per row o − õ = (1 − r)·μ_dropped, L1 residual within the rounding allowance"),
        BoundCheck(
            name: "identity-renormalised", valid: true,
            statement: "per row o − ô = (1 − r)(μ_dropped − μ_kept), L1 residual within the rounding allowance"),
    ]

    /// True when nothing that is a theorem was violated, and something was checked.
    public var holds: Bool { checks.contains { $0.checked > 0 } && brokenChecks.isEmpty }

    /// The theorems that something contradicts.
    public var brokenChecks: [BoundCheck] { checks.filter(\.isBroken) }

    /// Measures each mask on the head and checks the result. Returns the measurements, in the order of the masks.
    ///
    /// `values` may be given to reuse one extent; nil measures it once. O(masks · queryCount · keyCount · (d + dv)).
    @discardableResult
    public mutating func verify<Mask: AttentionMask>(
        _ head: AttentionHead, keeping masks: [Mask], values: ValueExtent? = nil, label: String
    ) -> [MaskMeasurement] {
        let values = values ?? ValueExtent(of: head)
        return masks.enumerated().map { index, mask in
            let name = masks.count == 1 ? label : "\(label) mask \(index)"
            let measurement = MaskMeasurement(head, keeping: mask, values: values, label: name)
            check(measurement)
            return measurement
        }
    }

    /// Checks one measurement against every bound, both identities and, where a kernel was judged, its rounding.
    /// O(rows · bounds).
    public mutating func check(_ measurement: MaskMeasurement) {
        for (index, bound) in bounds.enumerated() { check(bound, at: index, measurement) }
        for row in measurement.rows {
            let limit = measurement.allowance(keys: row.causalKeys)
            func record(_ residual: Double, in index: Int) {
                checks[bounds.count + index].rows.record(
                    measured: residual, bound: limit, allowance: 0, at: measurement.place(row.row))
            }
            record(row.unrenormalisedResidual, in: 0)
            record(row.renormalisedResidual, in: 1)
        }
        for (row, kernel) in zip(measurement.rows, measurement.kernelRows) { check(kernel, row, measurement) }
    }

    /// Adds the outcome of a verifier with the same bounds.
    public mutating func merge(_ other: BoundVerifier) {
        precondition(checks.count == other.checks.count, "only verifiers of the same bounds can be merged")
        for index in checks.indices { checks[index].merge(other.checks[index]) }
    }

    private mutating func check(_ bound: any OutputErrorBound, at index: Int, _ measurement: MaskMeasurement) {
        let values = measurement.values
        let worst = measurement.worstRow(for: bound.output)
        checks[index].cases.record(
            measured: worst.error(of: bound.output),
            bound: bound.bound(droppedMass: measurement.largestDroppedMass, values: values),
            allowance: measurement.allowance(keys: measurement.rows.map(\.causalKeys).max()!), at: measurement.place(worst.row))
        for row in measurement.rows {
            checks[index].rows.record(
                measured: row.error(of: bound.output), bound: bound.bound(droppedMass: row.droppedMass, values: values),
                allowance: measurement.allowance(keys: row.causalKeys), at: measurement.place(row.row))
        }
    }

    /// A kernel's row: ‖ô − ô'‖ within the allowance, and ‖o − ô'‖ within each bound and the allowance.
    private mutating func check(_ kernel: KernelRowErrors, _ row: RowErrors, _ measurement: MaskMeasurement) {
        let rounding = measurement.allowance(keys: row.causalKeys)
        let first = bounds.count + Self.identities.count
        func record(_ measured: Double, _ bound: Double, in index: Int) {
            checks[first + index].rows.record(
                measured: measured, bound: bound, allowance: rounding, at: measurement.place(row.row))
        }
        record(kernel.deviation, kernel.allowance, in: 0)
        for (index, bound) in kernelBounds.enumerated() {
            let limit = bound.bound(droppedMass: row.droppedMass, values: measurement.values) + kernel.allowance
            record(kernel.error, limit, in: 1 + index)
        }
    }
}

extension MaskMeasurement {
    fileprivate func place(_ row: Int) -> RowLocation { RowLocation(label: label, row: row) }
}

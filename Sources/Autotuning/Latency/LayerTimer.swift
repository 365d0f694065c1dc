import AttentionCore
import AttentionKernels
import SampleAttention
import SampleStatistics

/// Runs made-up layers and looks at the clock.
struct LayerTimer {
    private let kernel: AttentionKernel
    private let sampleAttention: SampleAttentionOperator
    private let workspace = AttentionWorkspace()

    init(kernel: AttentionKernel) {
        self.kernel = kernel
        sampleAttention = SampleAttentionOperator(kernel: kernel)
    }

    /// The work of each setting, and the median of its times; all settings are timed in turn, `Calibration.passes` times or less.
    func samples(
        _ settings: [CalibrationSetting], layer: borrowing CalibrationLayer, before: (CalibrationSetting) -> Void = { _ in }
    ) throws(InputError) -> [LatencySample] {
        var times = [[Double]](repeating: [], count: settings.count)
        var works: [HeadWork] = []
        // Selecting once also warms up.
        for setting in settings { works.append(work(setting, layer: layer)) }
        for pass in 0..<Calibration.passes {
            for (index, setting) in settings.enumerated() where pass % setting.passStride == 0 {
                before(setting)
                times[index].append(try seconds(setting, layer: layer))
            }
        }
        return settings.indices.map {
            LatencySample(setting: settings[$0], work: works[$0], seconds: Quantiles.median(times[$0]))
        }
    }

    /// What all heads of a setting have to do; the selection is run to know the columns.
    private func work(_ setting: CalibrationSetting, layer: borrowing CalibrationLayer) -> HeadWork {
        let inputs = layer.inputs(setting)
        let samples = setting.kind != .dense && setting.kind != .window
        return patterns(setting, inputs: inputs).reduce(HeadWork()) { sum, pattern in
            sum
                + HeadWork(
                    samples ? setting.parameters : nil, pattern: pattern, shape: inputs.shape,
                    certifiedRows: setting.kind == .certified ? Calibration.certifiedRows : 0)
        }
    }

    private func patterns(_ setting: CalibrationSetting, inputs: LayerInputs) -> [SparsePattern] {
        let parameters = setting.parameters
        if setting.kind == .window {
            let sinks = (0..<Int32(min(parameters.sinks, setting.length))).map(\.self)
            let pattern = SparsePattern.windowColumns(
                WindowColumns(
                    window: parameters.window.positions(promptLength: setting.length), columns: sinks,
                    denseLastRows: parameters.denseLastRows))
            return Array(repeating: pattern, count: setting.heads)
        }
        return sampleAttention.select(
            inputs, parameters: Array(repeating: parameters, count: setting.heads), promptLength: setting.length, workspace: workspace
        ).map { SampleAttentionOperator.pattern(parameters, selection: $0, shape: inputs.shape, promptLength: setting.length) }
    }

    /// One run, from inputs to output.
    func seconds(_ setting: CalibrationSetting, layer: borrowing CalibrationLayer) throws(InputError) -> Double {
        let inputs = layer.inputs(setting)
        let output = layer.output(setting)
        let start = ContinuousClock.now
        if setting.kind == .window {
            let plan = try AttentionPlan(shape: inputs.shape, patterns: patterns(setting, inputs: inputs))
            kernel.run(plan, query: inputs.query, key: inputs.key, value: inputs.value, output: output, workspace: workspace)
        } else {
            _ = try sampleAttention.attend(
                inputs, parameters: Array(repeating: setting.parameters, count: setting.heads), promptLength: setting.length,
                output: output, certification: setting.kind == .certified ? Certification(rows: Calibration.certifiedRows) : nil,
                workspace: workspace)
        }
        return (ContinuousClock.now - start).seconds
    }
}

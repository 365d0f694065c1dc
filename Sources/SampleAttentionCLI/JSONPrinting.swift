import ArgumentParser

/// A command that prints its result, or its failure, as one JSON object when it is asked to.
protocol JSONPrinting: ParsableCommand {
    var json: Bool { get }
}

/// A command that computes.
protocol MachineCommand: JSONPrinting {
    var machine: MachineOptions { get }
}

extension MachineCommand {
    var json: Bool { machine.json }
}

/// A command that runs a model.
protocol ModelCommand: JSONPrinting {
    var model: ModelOptions { get }
}

extension ModelCommand {
    var json: Bool { model.machine.json }
}

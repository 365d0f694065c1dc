import ArgumentParser
import AttentionCore
import AttentionKernels
import Parallelism

/// The synthetic heads of a benchmark.
struct HeadShapeOptions: ParsableArguments {
    @Option(help: "Tokens; repeatable (default: 4096).")
    var length: [Int] = []

    @Option(help: "Query heads.")
    var queryHeads = 8

    @Option(help: "Key-value heads.")
    var keyValueHeads = 2

    @Option(help: "Head dimension; repeatable (default: 64 128).")
    var headDimension: [Int] = []

    @Option(help: "Timed rounds.")
    var rounds = 5

    /// Every length with every head dimension.
    func shapes() throws(InputError) -> [AttentionShape] {
        _ = try ParameterOptions.count(queryHeads, "query-heads", atLeast: 1, atMost: 1024)
        _ = try ParameterOptions.count(keyValueHeads, "key-value-heads", atLeast: 1, atMost: 1024)
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        for value in length { _ = try ParameterOptions.count(value, "length", atLeast: 1, atMost: 1 << 24) }
        for value in headDimension { _ = try ParameterOptions.count(value, "head-dimension", atLeast: 1, atMost: 1024) }
        guard queryHeads % keyValueHeads == 0 else {
            throw InputError(.usage, field: "query-heads", value: "\(queryHeads)", rule: "must be a multiple of key-value-heads")
        }
        return (length.isEmpty ? [4096] : length).flatMap { length in
            (headDimension.isEmpty ? [64, 128] : headDimension).map { dimension in
                AttentionShape(
                    queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: length, keyCount: length, headDimension: dimension)
            }
        }
    }
}

import AttentionCore
import Foundation

/// One reader and its inputs, one after the other, in this process.
struct FuzzingRun {
    private let name: String
    private let model: FuzzingModel
    private let prepared: FuzzedParser.Prepared

    /// CPU seconds that one input may take, and wall seconds for one that waits instead of working. Both kill the process.
    private static let (mostWork, mostWait) = (20, 600)

    static func inputPath(in folder: String) -> String { folder + "/input" }
    static func numberPath(in folder: String) -> String { folder + "/number" }

    init(_ parser: FuzzedParser) throws {
        name = parser.name
        model = try FuzzingModel()
        prepared = try parser.prepare(model)
    }

    /// Reads the file at `path`.
    func parse(fileAt path: String) throws {
        do {
            try prepared.parse(path)
            print("\(path): accepted")
        } catch let error as InputError {
            print("refused: \(error)")
        }
    }

    /// Reads the samples, which must be accepted, then makes and reads inputs. The one under way stands in `folder` with its number, for whoever outlives this process.
    func run(seed: UInt64, inputs: Range<Int>, folder: String) throws {
        let path = Self.inputPath(in: folder)
        for sample in prepared.samples {
            try Data(sample.bytes()).write(to: URL(fileURLWithPath: path))
            try prepared.parse(path)
        }
        var accepted = 0
        for number in inputs {
            var mutation = Mutation(.derived(seed: seed, number))
            let bytes = Data(mutation.input(from: prepared.samples))
            try bytes.write(to: URL(fileURLWithPath: path))
            try Data("\(number)".utf8).write(to: URL(fileURLWithPath: Self.numberPath(in: folder)))
            Self.limitTime(Self.mostWork, Self.mostWait)
            if try accepts(path) { accepted += 1 }
            Self.limitTime(0, 0)
        }
        print("\(name): \(inputs.count) inputs withstood, \(accepted) of them accepted")
    }

    /// - Throws: what is no `InputError`.
    private func accepts(_ path: String) throws -> Bool {
        do {
            try prepared.parse(path)
            return true
        } catch let error as InputError {
            _ = error.description
            return false
        }
    }

    private static func limitTime(_ work: Int, _ wait: Int) {
        alarm(UInt32(wait))
        var timer = itimerval()
        timer.it_value.tv_sec = work
        setitimer(Int32(ITIMER_PROF.rawValue), &timer, nil)
    }
}

import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// Open MPI's `mpirun`, by the name that MPICH's does not have.
private enum Launcher {
    static let path = "/usr/bin/mpirun.openmpi"
    static let isThere = FileManager.default.isExecutableFile(atPath: path)
}

/// Commands that ranks of `mpirun` share.
@Suite(.enabled(if: Launcher.isThere, "Open MPI is not installed")) struct RanksTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A script that runs `arguments` on ranks: more than there are cores, and as any user.
    private func script(_ ranks: Int, _ arguments: [String]) -> String {
        launch("-n \(ranks) \"$program\" \(Program.quoted(arguments))")
    }

    private func launch(_ text: String) -> String {
        "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \(Launcher.path) --oversubscribe --bind-to none \(text)"
    }

    private func compare(_ more: [String]) throws -> [String] {
        let (model, config) = try ConfigTests.tuned(in: scratch, positions: 2048)
        return [
            "compare", "--model", model.path, "--config", config, "--text", HaystackModel.texts[1].path, "--methods", "dense,tuned,quest",
            "--kind", "needle-single", "--kind", "perplexity", "--length", "600", "--threads", "1",
        ] + more
    }

    /// What does not depend on time.
    private func rows(_ result: [String: Any]) throws -> [String] {
        try #require(result["rows"] as? [[String: Any]]).map { row in
            ["method", "task", "length", "score", "asked", "nll", "density", "meanMass", "minMass"].map { key in
                row[key].map { "\($0)" } ?? "none"
            }.joined(separator: " ")
        }
    }

    /// Any number of ranks finds what one process does, and one object is printed.
    @Test(arguments: [2, 3, 5]) func ranksFindWhatOneProcessFinds(count: Int) throws {
        let command = try compare(["--length", "1400", "--count", "2", "--json"])
        let alone = try Program.run(command), together = try Program.shell(script(count, command))
        #expect(together.exitCode == 0 && !together.errors.contains("error"), "\(together.errors)")
        #expect(try rows(together.json()) == rows(alone.json()))
    }

    @Test func lossesOfWindowsAreShared() throws {
        let (model, _) = try ConfigTests.tuned(in: scratch, positions: 2048)
        let command = [
            "evaluate", "--model", model.path, "--perplexity", HaystackModel.texts[1].path, "--length", "500", "--windows", "5", "--stride",
            "900", "--attention", "paper", "--threads", "1", "--json",
        ]
        func loss(_ outcome: Program.Outcome) throws -> [Double] {
            let losses = try #require(try outcome.json()["perplexity"] as? [[String: Any]])
            return try [number(losses[0], "nll"), number(losses[0], "density")]
        }
        let together = try Program.shell(script(3, command))
        #expect(together.exitCode == 0, "\(together.errors)")
        #expect(try loss(together) == loss(Program.run(command)))
    }

    /// A rank that is killed ends all of them; the journal is whole, and another number of ranks goes on from it.
    @Test func aKilledRankLosesNothing() throws {
        let folder = scratch.file("out")
        // Enough of it that a run is not over before it is killed.
        let command = try compare(["--isa", "scalar", "--length", "1600", "--count", "10"])
        let alone = try Program.run(command + ["--json"])
        // The last rank, then the one that keeps the journal.
        for rank in ["tail", "head"] {
            let resume = rank == "tail" ? [] : ["--resume"]
            let before = Study.journalLines(folder)
            let killed = try Program.shell(
                """
                \(script(3, command + ["--output", folder] + resume)) &
                until [ "$(cat '\(folder)/journal.jsonl' 2>/dev/null | wc -l)" -ge \(before + 4) ]; do sleep 0.02; done
                kill -KILL $(pgrep -P $! -f sample-attention | \(rank) -n 1)
                wait $!
                """)
            #expect(killed.exitCode != 0 && killed.output.isEmpty)
            #expect(killed.errors.contains("exited on signal 9"), "\(killed.errors)")
            #expect(try scratch.read("out/journal.jsonl").hasSuffix("}\n"))
        }
        let lines = Study.journalLines(folder)
        let resumed = try Program.shell(script(2, command + ["--output", folder, "--resume", "--json"]))
        #expect(resumed.exitCode == 0, "\(resumed.errors)")
        #expect(try lines > 8 && rows(resumed.json()) == rows(alone.json()))
    }

    /// Every rank's failure is one line of rank 0, whichever rank it is of; nothing is left behind.
    @Test func failuresAreToldOnce() throws {
        let command = try compare(["--count", "1"])
        func told(_ text: String) throws -> (code: Int32, lines: [String]) {
            let outcome = try Program.shell(launch(text))
            return (outcome.exitCode, outcome.errors.split(separator: "\n").map(String.init).filter { $0.contains("error: ") })
        }
        let own = Program.quoted(command)
        let seeds = try told("-n 2 \"$program\" \(own) --seed 1 : -n 1 \"$program\" \(own) --seed 2")
        #expect(seeds.code == Refusal.configuration.rawValue && seeds.lines.count == 1, "\(seeds)")
        #expect(seeds.lines.first?.contains("rank 2 on ") == true && seeds.lines.first?.hasSuffix("as on rank 0") == true, "\(seeds)")
        // The same names of files that hold other tasks, as on two machines.
        let tasks = try Program.output(["tasks", "--kind", "needle-single", "--length", "600", "--count", "1", "--depth", "0.5"])
        let (model, _) = try ConfigTests.tuned(in: scratch, positions: 2048)
        let evaluate = Program.quoted(["evaluate", "--model", model.path, "--tasks", "tasks.jsonl"])
        for rank in 0..<2 {
            try FileManager.default.createDirectory(atPath: scratch.file("rank\(rank)"), withIntermediateDirectories: true)
            try scratch.write(rank == 0 ? tasks : tasks.replacing("secret", with: "hidden"), to: "rank\(rank)/tasks.jsonl")
        }
        let read = (0..<2).map { "-n 1 --wdir '\(scratch.file("rank\($0)"))' \"$program\" \(evaluate)" }
        let others = try told(read.joined(separator: " : "))
        #expect(others.code == Refusal.configuration.rawValue && others.lines.count == 1, "\(others)")
        #expect(others.lines.first?.contains(", tasks: 1 tasks ") == true, "\(others)")
        let missing = try told("-n 1 \"$program\" \(own) : -n 2 \"$program\" \(own) --tasks /nowhere.jsonl")
        #expect(missing.lines.count == 1 && missing.lines.first?.contains("rank 1 on ") == true, "\(missing)")
        let everywhere = try told("-n 3 \"$program\" \(own) --density 7")
        #expect(everywhere.code == Refusal.usage.rawValue && everywhere.lines.count == 1, "\(everywhere)")
        let parser = try told("-n 3 \"$program\" \(own) --nonsense")
        #expect(parser.code == Refusal.usage.rawValue && parser.lines.count == 1, "\(parser)")
        let single = try told("-n 2 \"$program\" estimate --length 1000")
        #expect(
            single.code == Refusal.usage.rawValue
                && single.lines == ["error: command: estimate: runs in one process: start it without mpirun"])
    }

    @Test func helpIsPrintedOnce() throws {
        let help = try Program.shell(script(3, ["evaluate", "--help"]))
        #expect(try help.exitCode == 0 && help.output == Program.output(["evaluate", "--help"]))
    }

    /// One rank needs no MPI.
    @Test func oneRankIsOneProcess() throws {
        let outcome = try Program.shell("SAMPLE_ATTENTION_MPI=/nowhere.so " + script(1, ["estimate", "--length", "1000"]))
        #expect(outcome.exitCode == 0, "\(outcome.errors)")
        let missing = try Program.shell("SAMPLE_ATTENTION_MPI=/nowhere.so " + script(2, ["evaluate", "--help"]))
        #expect(missing.errors.contains("the launcher's MPI library must be there") && missing.exitCode != 0, "\(missing.errors)")
    }
}

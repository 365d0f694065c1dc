import AttentionCore
import DurableFiles
import Foundation
import Testing

@Suite struct AtomicFileTests {
    @Test func writesAndReplaces() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/report.html"
        try AtomicFile.write("old, longer text", to: path)
        try AtomicFile.write("new ü", to: path)
        #expect(directory.text("report.html") == "new ü")
        try AtomicFile.write(Data([0x61, 0x62]), to: path)
        #expect(directory.text("report.html") == "ab")
        try AtomicFile.write([], to: path)
        #expect(directory.text("report.html") == "")
        #expect(directory.names == ["report.html"])
    }

    @Test func longestNameIsFine() throws {
        let directory = try TemporaryDirectory()
        let name = String(repeating: "n", count: 255)
        try AtomicFile.write("x", to: directory.path + "/" + name)
        #expect(directory.names == [name])
    }

    @Test func keepsPermissionsAndLinks() throws {
        let directory = try TemporaryDirectory()
        try AtomicFile.write("1", to: directory.path + "/target")
        #expect(chmod(directory.path + "/target", 0o640) == 0)
        #expect(symlink("target", directory.path + "/link") == 0)
        try AtomicFile.write("2", to: directory.path + "/link")
        #expect(directory.text("target") == "2")
        let kind = try FileManager.default.attributesOfItem(atPath: directory.path + "/link")[.type] as? FileAttributeType
        #expect(kind == .typeSymbolicLink)
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/target")[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o640)
    }

    @Test func missingDirectory() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/no/such/file"
        let error = #expect(throws: InputError.self) { try AtomicFile.write("x", to: path) }
        #expect(error == InputError(.cannotCreate, file: path, rule: "the directory must exist"))
        #expect(directory.names.isEmpty)
    }

    @Test func aFileIsNoDirectory() throws {
        let directory = try TemporaryDirectory()
        try AtomicFile.write("x", to: directory.path + "/file")
        let below = #expect(throws: InputError.self) { try AtomicFile.write("y", to: directory.path + "/file/below") }
        #expect(below?.code == .cannotCreate)
        let onto = #expect(throws: InputError.self) { try AtomicFile.write("y", to: directory.path) }
        #expect(onto?.code == .cannotCreate)
        #expect(directory.text("file") == "x")
        #expect(directory.names == ["file"])
    }

    @Test(arguments: ["", "a\0b"]) func impossiblePath(path: String) {
        let error = #expect(throws: InputError.self) { try AtomicFile.write("x", to: path) }
        #expect(error?.code == .cannotCreate)
    }

    @Test func fullDisk() {
        let error = #expect(throws: InputError.self) { try AtomicFile.write("x", to: "/dev/full") }
        #expect(error == InputError(.inputOutput, file: "/dev/full", rule: "no space left on the device"))
    }

    /// A directory that refuses new files, as its owner and as root alike: the kernel's own.
    @Test func unwritableDirectory() {
        let error = #expect(throws: InputError.self) { try AtomicFile.write("x", to: "/proc/self/report.html") }
        #expect(error?.code == .cannotCreate)
        #expect(error?.file == "/proc/self/report.html")
    }

    /// A limit on the file size, half way through the write, in a process of its own.
    @Test func failureHalfWayLeavesTheOldFile() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/config.json"
            try AtomicFile.write("old", to: path)
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 10_000, rlim_max: 10_000)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            let error = #expect(throws: InputError.self) {
                try AtomicFile.write([UInt8](repeating: 0x61, count: 50_000), to: path)
            }
            try #require(error == InputError(.inputOutput, file: path, rule: "the file is larger than the system allows"))
            try #require(directory.text("config.json") == "old")
            try #require(directory.names == ["config.json"])
        }
    }
}

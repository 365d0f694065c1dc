// swift-tools-version: 6.1
import PackageDescription

/// Set by the Makefile and CI: warnings become errors, and C is optimised in debug builds too (SIMD intrinsics at -O0
/// are some fifty times slower). Off for packages that depend on this one, because SwiftPM refuses unsafe flags there.
let strict = Context.environment["SAMPLE_ATTENTION_STRICT"] != nil

/// Set by `make docs`: only then is the documentation plugin fetched.
let documentation: [Package.Dependency] =
    Context.environment["SAMPLE_ATTENTION_DOCS"] == nil
    ? [] : [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")]

let swiftSettings: [SwiftSetting] =
    [.enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility")]
    + (strict ? [.unsafeFlags(["-warnings-as-errors"])] : [])
/// Optimising tests takes longer than they run; what they test, and the oracles in `AttentionTestSupport`, is optimised.
let testSettings: [SwiftSetting] = swiftSettings + (strict ? [.unsafeFlags(["-Onone"], .when(configuration: .release))] : [])
let cSettings: [CSetting] =
    strict
    ? [.unsafeFlags(["-Werror", "-Wall", "-Wextra"]), .unsafeFlags(["-O2"], .when(configuration: .debug))]
    : []

/// Packages that depend on this one and give `traits: []` fetch nothing of what the server needs.
let server: TargetDependencyCondition? = .when(traits: ["Server"])
/// What speaks HTTP; only the server and the program depend on it.
let http: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird", condition: server),
    .product(name: "HTTPTypes", package: "swift-http-types", condition: server),
    .product(name: "NIOCore", package: "swift-nio", condition: server), .product(name: "NIOPosix", package: "swift-nio", condition: server),
    .product(name: "Logging", package: "swift-log", condition: server),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: server),
    .product(name: "UnixSignals", package: "swift-service-lifecycle", condition: server),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

func library(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil
) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: ["README.md"] + exclude, resources: resources,
        swiftSettings: swiftSettings)
}

func tests(_ target: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: target + "Tests", dependencies: dependencies + ["AttentionTestSupport"], resources: resources,
        swiftSettings: testSettings)
}

/// What runs SampleAttention on tensors.
let operatorModules = ["AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance", "SampleAttention"]
/// What runs it in a model.
let modelModules = operatorModules + ["ModelFormats", "AttentionLayers", "LanguageModels", "HaystackModel"]

let package = Package(
    name: "sample-attention",
    // A product holds every module that its public declarations name: `.ci/product-interfaces` checks that.
    products: [
        .library(name: "SampleAttention", targets: operatorModules),
        .library(name: "AttentionBaselines", targets: operatorModules + ["AttentionBaselines"]),
        .library(name: "HeadProfiling", targets: operatorModules + ["HeadProfiling"]),
        .library(name: "ErrorBounds", targets: ["AttentionCore", "ErrorBounds"]),
        .library(
            name: "BoundVerification",
            targets: operatorModules + ["ModelFormats", "AttentionLayers", "ErrorBounds", "BoundVerification"]),
        .library(name: "LanguageModels", targets: modelModules),
        .library(name: "Evaluation", targets: modelModules + ["ProcessGroups", "DurableFiles", "HeadProfiling", "Evaluation"]),
        .library(
            name: "Autotuning",
            targets: modelModules + [
                "ProcessGroups", "DurableFiles", "QuasiRandom", "HeadProfiling", "Evaluation", "Autotuning", "ModelTuning",
            ]),
        // For programs in C, and in all that calls C: `Sources/CSampleAttention/include/sample_attention.h`.
        .library(name: "sampleattention", type: .dynamic, targets: ["SampleAttentionLibrary"]),
        .executable(name: "sample-attention", targets: ["sample-attention"]),
    ],
    traits: [
        .trait(name: "Server", description: "The command `serve` and what it needs, which asks for Swift 6.2."),
        .default(enabledTraits: ["Server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // Without its traits nothing is built that configures servers from files.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
    ] + documentation,
    targets: [
        // System libraries. CGSL names no pkg-config on purpose: gsl.pc pulls in gslcblas, whose cblas_sgemm is 20 times slower.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CLAPACKE", pkgConfig: "lapacke", providers: [.apt(["liblapacke-dev"])]),
        .systemLibrary(name: "CGSL", providers: [.apt(["libgsl-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CAttentionKernels", exclude: ["README.md"], cSettings: cSettings),
        // Loads MPI when the program runs.
        .target(name: "CMessagePassing", exclude: ["README.md"], cSettings: cSettings),
        .target(name: "CSampleAttention", exclude: ["README.md", "exports.map"], cSettings: cSettings),

        // Foundations.
        library("AttentionCore", []),
        library("Parallelism", ["AttentionCore"]),
        library("ProcessGroups", ["AttentionCore", "CMessagePassing"]),
        library("SampleStatistics", []),
        library("LinearAlgebra", ["AttentionCore", "COpenBLAS", "CLAPACKE"]),
        // The one target that links GSL, which is under the GPL: see NOTICE before depending on it.
        library("QuasiRandom", ["AttentionCore", "CGSL"]),
        library("AttentionKernels", ["AttentionCore", "Parallelism", "CAttentionKernels"]),
        library("RunProvenance", ["AttentionKernels"]),

        // The method.
        library(
            "SampleAttention", ["AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance", "SampleStatistics"],
            exclude: ["tuned-config.schema.json"]),
        library(
            "SampleAttentionLibrary",
            ["AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance", "SampleAttention", "CSampleAttention"]),
        library("AttentionBaselines", ["AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention", "LinearAlgebra"]),
        library("DurableFiles", ["AttentionCore", "ProcessGroups"]),
        library("HeadProfiling", ["AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention", "SampleStatistics"]),
        library("ErrorBounds", ["AttentionCore", "SampleStatistics", "LinearAlgebra"]),
        library(
            "Autotuning",
            [
                "AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance", "SampleAttention", "HeadProfiling", "SampleStatistics",
                "LinearAlgebra", "QuasiRandom", "DurableFiles",
            ]),

        // Models and what is asked of them.
        library("ModelFormats", ["AttentionCore", "COpenSSL"]),
        library("AttentionLayers", ["AttentionCore", "AttentionKernels", "RunProvenance", "ModelFormats"]),
        library(
            "BoundVerification", ["AttentionCore", "Parallelism", "AttentionKernels", "AttentionLayers", "SampleAttention", "ErrorBounds"]),
        library(
            "LanguageModels",
            ["AttentionCore", "Parallelism", "AttentionKernels", "AttentionLayers", "RunProvenance", "SampleAttention", "ModelFormats"]),
        library(
            "Evaluation",
            [
                "AttentionCore", "Parallelism", "AttentionKernels", "AttentionLayers", "RunProvenance", "SampleAttention", "HeadProfiling",
                "LanguageModels", "ModelFormats", "SampleStatistics", "DurableFiles", "ProcessGroups",
            ]),
        library(
            "ModelTuning",
            [
                "AttentionCore", "AttentionKernels", "AttentionLayers", "RunProvenance", "SampleAttention", "Autotuning", "HeadProfiling",
                "LanguageModels", "ModelFormats", "Evaluation", "SampleStatistics", "DurableFiles",
            ]),
        library("HaystackModel", ["AttentionCore"], resources: [.copy("haystack-13m"), .copy("text"), .copy("tuned")]),

        // What other programs speak to.
        library(
            "Serving",
            ["AttentionCore", "SampleAttention", "LanguageModels", "ModelFormats"], resources: [.embedInCode("chat.html")]),
        .target(
            name: "HTTPServing", dependencies: ["AttentionCore", "Serving"] + http, exclude: ["README.md"], swiftSettings: swiftSettings),

        // What people see.
        library("Reporting", ["AttentionCore"]),
        library(
            "StudyReports",
            [
                "AttentionCore", "AttentionKernels", "RunProvenance", "SampleAttention", "HeadProfiling", "ErrorBounds", "Autotuning",
                "ModelTuning", "LanguageModels", "Evaluation", "Reporting", "SampleStatistics", "DurableFiles",
            ]),
        library(
            "Benchmarks",
            [
                "AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance", "SampleAttention", "Autotuning", "LanguageModels",
                "Reporting", "SampleStatistics", "LinearAlgebra",
            ]),
        .executableTarget(
            name: "sample-attention",
            dependencies: [
                "AttentionCore", "Parallelism", "AttentionKernels", "AttentionLayers", "RunProvenance", "SampleAttention",
                "AttentionBaselines",
                "HeadProfiling", "ErrorBounds", "BoundVerification", "Autotuning", "ModelTuning", "ModelFormats", "LanguageModels",
                "Evaluation", "HaystackModel",
                "Reporting", "StudyReports", "Benchmarks", "DurableFiles", "ProcessGroups", "Serving", "HTTPServing", argumentParser,
            ],
            path: "Sources/SampleAttentionCLI", exclude: ["README.md"], swiftSettings: swiftSettings, plugins: ["RecordCommit"]),
        .plugin(name: "RecordCommit", capability: .buildTool(), path: "Sources/RecordCommit"),

        // Tests.
        .target(
            name: "AttentionTestSupport", dependencies: ["AttentionCore", "ProcessGroups"], path: "Tests/AttentionTestSupport",
            swiftSettings: swiftSettings),
        tests("AttentionCore", ["AttentionCore"]),
        tests("Parallelism", ["Parallelism"]),
        tests("SampleStatistics", ["SampleStatistics", "AttentionCore", "CGSL"]),
        tests("LinearAlgebra", ["LinearAlgebra", "AttentionCore"]),
        tests("QuasiRandom", ["QuasiRandom"]),
        .target(name: "CTileModel", dependencies: ["CAttentionKernels"], path: "Tests/CTileModel", cSettings: cSettings),
        tests("AttentionKernels", ["AttentionCore", "Parallelism", "AttentionKernels", "CAttentionKernels", "CTileModel"]),
        tests("SampleAttention", ["SampleAttention", "AttentionKernels", "AttentionCore", "Parallelism", "ErrorBounds", "RunProvenance"]),
        tests(
            "SampleAttentionLibrary",
            [
                "SampleAttentionLibrary", "CSampleAttention", "SampleAttention", "AttentionKernels", "AttentionCore", "Parallelism",
                "RunProvenance",
            ]),
        tests("AttentionLayers", ["AttentionLayers", "AttentionCore", "Parallelism", "AttentionKernels", "ModelFormats", "RunProvenance"]),
        tests("HeadProfiling", ["HeadProfiling", "AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention"]),
        tests("AttentionBaselines", ["AttentionBaselines", "AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention"]),
        tests("ProcessGroups", ["ProcessGroups", "AttentionCore"]),
        tests("DurableFiles", ["DurableFiles", "ProcessGroups", "AttentionCore"]),
        tests("ErrorBounds", ["AttentionCore", "ErrorBounds"]),
        tests(
            "BoundVerification",
            [
                "BoundVerification", "ErrorBounds", "AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention", "LanguageModels",
                "ModelFormats", "HaystackModel",
            ]),
        tests(
            "Autotuning",
            [
                "Autotuning", "HeadProfiling", "DurableFiles", "AttentionCore", "Parallelism", "AttentionKernels", "RunProvenance",
                "SampleAttention",
                "SampleStatistics",
            ]),
        tests(
            "ModelTuning",
            [
                "ModelTuning", "Evaluation", "LanguageModels", "ModelFormats", "HaystackModel", "AttentionCore", "Parallelism",
                "AttentionKernels", "AttentionLayers", "Autotuning", "DurableFiles", "RunProvenance", "SampleAttention",
            ]),
        tests("ModelFormats", ["ModelFormats", "HaystackModel", "AttentionCore"], resources: [.copy("golden")]),
        tests(
            "LanguageModels",
            [
                "LanguageModels", "ModelFormats", "HaystackModel", "AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention",
                "AttentionBaselines", "RunProvenance",
            ],
            resources: [.copy("golden")]),
        tests(
            "Evaluation",
            [
                "Evaluation", "LanguageModels", "ModelFormats", "HaystackModel", "AttentionCore", "Parallelism", "AttentionKernels",
                "SampleAttention",
                "HeadProfiling", "DurableFiles", "RunProvenance",
            ], resources: [.copy("golden")]),
        tests(
            "Serving",
            ["Serving", "LanguageModels", "ModelFormats", "AttentionCore", "Parallelism", "AttentionKernels", "SampleAttention"]),
        tests("Reporting", ["Reporting", "AttentionCore"]),
        .executableTarget(
            name: "ParserFuzzing",
            dependencies: [
                "AttentionCore", "Parallelism", "AttentionKernels", "AttentionTestSupport", "Autotuning", "DurableFiles", "Evaluation",
                "HeadProfiling",
                "AttentionLayers", "LanguageModels", "ModelFormats", "ModelTuning", "RunProvenance", "SampleAttention", argumentParser,
            ],
            path: "Tests/ParserFuzzing", swiftSettings: testSettings),
        tests("EndToEnd", ["HaystackModel"]),
    ],
    swiftLanguageModes: [.v6]
)

// swift-tools-version: 6.1
import PackageDescription

// SampleAttention in a program of its own: `swift run -c release` here. In yours, name the repository's URL instead of the path. Without traits
// nothing is fetched that only the program's server needs.
let package = Package(
    name: "operator",
    dependencies: [.package(name: "sample-attention", path: "../..", traits: [])],
    targets: [
        .executableTarget(
            name: "operator", dependencies: [.product(name: "SampleAttention", package: "sample-attention")],
            swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")])
    ]
)

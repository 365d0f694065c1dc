// swift-tools-version: 6.1
import PackageDescription

// SampleAttention in a program of its own: `swift run -c release` here. In yours, name the repository's URL instead of the path.
let package = Package(
    name: "operator",
    dependencies: [.package(name: "sample-attention", path: "../..")],
    targets: [
        .executableTarget(
            name: "operator", dependencies: [.product(name: "SampleAttention", package: "sample-attention")],
            swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")])
    ]
)

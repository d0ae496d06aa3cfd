// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is held to the same language mode; there are no unsafe flags, so that the package can be a dependency.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// A room of the house; `imports` equals the target's direct imports (held by Tests/TidyTests).
func room(_ name: String, imports: [String] = []) -> Target {
    .target(name: name, dependencies: imports.map { .byName(name: $0) }, swiftSettings: settings)
}

/// `exclude` names what is not source, such as a folder of golden files.
func tests(_ name: String, imports: [String], exclude: [String] = []) -> Target {
    .testTarget(
        name: name,
        dependencies: imports.map { .byName(name: $0) },
        exclude: exclude,
        swiftSettings: settings)
}

let package = Package(
    name: "Martlet",
    products: [
        .library(name: "Martlet", targets: ["Martlet"]),
        .executable(name: "martlet", targets: ["MartletCLI"]),
        .library(name: "MartletFuzz", type: .static, targets: ["MartletFuzz"]),
    ],
    targets: [
        // C shims: tiny, one library each.
        .target(name: "CMartletISAL", linkerSettings: [.linkedLibrary("isal")]),
        .target(name: "CMartletLinux"),
        .target(name: "CMartletPager"),
        .target(name: "CMartletRE2", linkerSettings: [.linkedLibrary("re2")]),
        .target(name: "CMartletVector"),
        .target(name: "CMartletSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CMartletPQ", linkerSettings: [.linkedLibrary("pq")]),
        .target(name: "CMartletEdit", linkerSettings: [.linkedLibrary("edit")]),
        .target(name: "CMartletEvent", linkerSettings: [.linkedLibrary("event")]),
        .target(
            name: "CMartletCompression",
            linkerSettings: ["lz4", "zstd", "snappy", "z"].map { .linkedLibrary($0) }),

        room("MartletCore", imports: ["CMartletISAL", "CMartletRE2"]),
        room("MartletPlatform", imports: ["CMartletEdit", "CMartletEvent", "CMartletLinux", "CMartletPager", "MartletCore"]),
        room("MartletColumns", imports: ["CMartletPager", "CMartletSimdjson", "CMartletVector", "MartletCore"]),
        room("MartletLog", imports: ["CMartletCompression", "MartletCore"]),
        room("MartletKafka", imports: ["MartletCore", "MartletLog"]),
        room("MartletPostgres", imports: ["MartletCore"]),
        room("MartletSQL", imports: ["MartletCore"]),
        room("MartletState", imports: ["CMartletPager", "CMartletVector", "MartletColumns", "MartletCore"]),
        room("MartletDataflow", imports: ["MartletColumns", "MartletCore", "MartletState"]),
        room(
            "MartletEngine",
            imports: ["MartletColumns", "MartletCore", "MartletDataflow", "MartletLog", "MartletSQL", "MartletState"]),
        room(
            "MartletConnectors",
            imports: [
                "CMartletPQ", "MartletColumns", "MartletCore", "MartletDataflow", "MartletEngine", "MartletLog", "MartletPlatform",
                "MartletSQL", "MartletState",
            ]),
        room(
            "MartletServer",
            imports: [
                "MartletColumns", "MartletCore", "MartletEngine", "MartletKafka", "MartletLog", "MartletPlatform", "MartletPostgres",
                "MartletSQL",
            ]),
        .executableTarget(
            name: "MartletCLI",
            dependencies: [
                "MartletColumns", "MartletConnectors", "MartletCore", "MartletDataflow", "MartletEngine", "MartletKafka", "MartletLog",
                "MartletPlatform", "MartletPostgres", "MartletSQL", "MartletServer", "MartletState",
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "MartletBench",
            dependencies: ["CMartletSimdjson", "MartletColumns", "MartletCore", "MartletPlatform", "MartletState"],
            swiftSettings: settings),
        room(
            "MartletFuzz",
            imports: [
                "CMartletSimdjson", "MartletColumns", "MartletCore", "MartletKafka", "MartletLog", "MartletPostgres", "MartletSQL",
            ]),
        room(
            "Martlet",
            imports: ["MartletConnectors", "MartletCore", "MartletDataflow", "MartletEngine", "MartletPlatform", "MartletSQL"]),
        room(
            "MartletTestKit",
            imports: ["MartletColumns", "MartletCore", "MartletDataflow", "MartletKafka", "MartletLog", "MartletState"]),

        tests("DocsTests", imports: []),
        tests("FuzzTests", imports: ["MartletCore", "MartletFuzz"], exclude: ["Seeds"]),
        tests("MartletColumnsTests", imports: ["MartletColumns", "MartletCore"]),
        tests("MartletConnectorsTests", imports: ["MartletConnectors", "MartletCore", "MartletDataflow", "MartletLog", "MartletPlatform"]),
        tests("MartletCoreTests", imports: ["MartletCore"], exclude: ["Golden"]),
        tests(
            "MartletDataflowTests",
            imports: ["MartletColumns", "MartletCore", "MartletDataflow", "MartletState", "MartletTestKit"]),
        tests(
            "MartletEngineTests",
            imports: [
                "MartletColumns", "MartletCore", "MartletDataflow", "MartletEngine", "MartletSQL", "MartletState", "MartletTestKit",
            ]),
        tests("MartletKafkaTests", imports: ["MartletCore", "MartletKafka", "MartletLog"], exclude: ["Golden"]),
        tests("MartletLogTests", imports: ["MartletCore", "MartletLog", "MartletTestKit"]),
        tests("MartletPlatformTests", imports: ["CMartletLinux", "CMartletPager", "MartletCore", "MartletPlatform"]),
        tests("MartletPostgresTests", imports: ["MartletCore", "MartletPlatform", "MartletPostgres", "MartletTestKit"], exclude: ["Golden"]),
        tests(
            "MartletSQLTests", imports: ["MartletCore", "MartletPlatform", "MartletSQL", "MartletTestKit"], exclude: ["Golden"]),
        tests(
            "MartletServerTests",
            imports: [
                "MartletColumns", "MartletCore", "MartletEngine", "MartletKafka", "MartletLog", "MartletPlatform", "MartletPostgres",
                "MartletSQL", "MartletServer",
            ]),
        tests("MartletStateTests", imports: ["MartletColumns", "MartletCore", "MartletState"], exclude: ["Golden"]),
        tests("MartletTestKitTests", imports: ["MartletCore", "MartletPlatform", "MartletTestKit"], exclude: ["Golden"]),
        tests(
            "SimulationTests",
            imports: [
                "MartletConnectors", "MartletCore", "MartletDataflow", "MartletEngine", "MartletLog", "MartletSQL", "MartletTestKit",
            ]),
        tests(
            "SystemTests", imports: ["MartletConnectors", "MartletCore", "MartletPlatform", "MartletPostgres", "MartletTestKit"],
            exclude: ["Database", "Kafka", "Oracle", "Postgres", "Sources"]),
        tests("TidyTests", imports: []),
    ]
)

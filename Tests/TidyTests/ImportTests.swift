import Testing

@Suite("Rooms know only whom they may know")
struct ImportTests {
    static let targets = Manifest.current.dependencies.keys.sorted()
    static let rooms = targets.filter { Rooms.mayImport[$0] != nil }

    @Test("every target of the manifest is in the table, and has sources")
    func tableCoversManifest() {
        #expect(!Self.rooms.isEmpty)
        for target in Self.targets {
            let isKnown = Rooms.mayImport[target] != nil || Rooms.shims[target] != nil || Rooms.workshops.contains(target)
                || Manifest.current.testTargets.contains(target)
            #expect(isKnown, "\(target) is in no table of Tests/TidyTests/Rooms.swift")
            let folder = Manifest.current.folder(of: target) + "/"
            #expect(Repository.files.contains { $0.hasPrefix(folder) }, "\(target) has no files in \(folder)")
        }
    }

    @Test("manifest dependencies equal direct imports", arguments: targets.filter { !$0.hasPrefix("CMartlet") })
    func manifestEqualsImports(target: String) {
        let imported = Manifest.current.importedModules(of: target).filter(Manifest.isOurs)
        // A test target may depend on an executable or a resource provider that it runs and cannot import.
        var declared = Manifest.current.dependencies[target, default: []]
        if Manifest.current.testTargets.contains(target) { declared.remove("MartletCLI") }
        #expect(declared.subtracting(imported).sorted() == [], "declared in Package.swift, imported by no file of \(target)")
        #expect(imported.subtracting(declared).sorted() == [], "imported by \(target), not declared in Package.swift")
    }

    @Test("imports point only up the table", arguments: rooms)
    func importsAreAllowed(room: String) {
        let imported = Manifest.current.importedModules(of: room).filter(Manifest.isOurs)
        let refused = imported.subtracting(Rooms.allowedImports(of: room)).sorted()
        #expect(refused == [], "\(room) may not import these; see Rooms.swift")
    }

    @Test("system modules are kept out of deterministic rooms", arguments: rooms.filter { !Rooms.outside.contains($0) })
    func systemModules(room: String) {
        let allowed = Rooms.toolchain.union(Rooms.nearMetal.contains(room) ? ["Glibc", "Musl", "Darwin"] : [])
        let refused = Manifest.current.importedModules(of: room).filter { !Manifest.isOurs($0) }.subtracting(allowed).sorted()
        #expect(refused == [], "\(room) reaches the outside world through the seams only")
    }

    @Test("the table itself: absences worth keeping")
    func absences() {
        #expect(!Rooms.allowedImports(of: "MartletSQL").contains("MartletColumns"), "SQL never sees a row")
        #expect(Rooms.allowedImports(of: "MartletLog").isDisjoint(with: ["MartletSQL", "MartletColumns"]), "the log sees bytes")
        #expect(!Rooms.allowedImports(of: "MartletDataflow").contains("MartletKafka"), "dataflow never sees Kafka")
        for wire in ["MartletKafka", "MartletPostgres"] {
            #expect(!Rooms.allowedImports(of: wire).contains("MartletPlatform"), "\(wire) is sans-IO")
        }
        for room in Rooms.mayImport.keys {
            #expect(!Rooms.mayImport[room, default: []].contains { Rooms.allowedImports(of: $0).contains(room) }, "\(room): a cycle")
        }
    }
}

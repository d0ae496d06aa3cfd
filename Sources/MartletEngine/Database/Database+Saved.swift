internal import MartletColumns
package import MartletCore
internal import MartletDataflow
package import MartletState

/// A database's whole state: the texts that define, from which the catalog is made again, the rows of what is kept, and the
/// states of its units (docs/formats/database.md has the bytes).
extension Database {
    /// What a saved state begins with; and what it began with when units read their sources by themselves.
    private static let savedForm = "database 3"
    /// Before columns that number rows.
    private static let secondForm = "database 2"
    private static let firstForm = "database"
    private static let textsMax = 1 << 24
    private static let relationsMax = 1 << 24

    package func beginSave() -> StateSave {
        // Readers' threads hold these rows' locks.
        let rows = allRows()
        let numbers = identities.takeAll()
        return { [self] (writer: StateWriter) throws(SQLError) in try save(rows, numbers, into: writer) }
    }

    private func save(
        _ rows: [(relation: RelationID, snapshot: StoreSnapshot, later: [Batch])], _ numbers: [(table: RelationID, last: Int64)],
        into writer: StateWriter
    ) throws(SQLError) {
        writer.begin(Database.savedForm)
        writer.write(tick)
        writer.write(UInt64(definitions.count))
        for definition in definitions {
            writer.write(definition.text)
            writer.write(definition.isRepeatable)
            writer.write(UInt64(definition.searchPath.count))
            for name in definition.searchPath { writer.write(name) }
        }
        let sink = ByteSink()
        writer.begin("relations")
        writer.write(UInt64(rows.count))
        for (relation, snapshot, later) in rows {
            writer.write(relation.raw)
            writer.write(tables[relation]?.newestEventTime ?? .min)
            let pages = snapshot.pagesWithRows
            writer.write(UInt64(pages.count + later.count))
            for page in pages { write(snapshot.batch(page), into: writer, sink) }
            for batch in later { write(batch, into: writer, sink) }
        }
        writer.begin("identities")
        writer.write(UInt64(numbers.count))
        for (table, last) in numbers {
            writer.write(table.raw)
            writer.write(last)
        }
        writer.begin("carried")
        writer.write(UInt64(carried.count))
        for (table, batches) in carried.sorted(by: { $0.key < $1.key }) {
            writer.write(table.raw)
            writer.write(UInt64(batches.count))
            for batch in batches { write(batch, into: writer, sink) }
        }
        writer.begin("sources")
        writer.write(UInt64(sources.count))
        for source in sources.values.sorted(by: { $0.id < $1.id }) { source.save(into: writer) }
        writer.begin("units")
        writer.write(UInt64(units.count))
        for unit in units {
            writer.beginSection()
            writer.write(unit.id)
            try unit.save(into: writer)
        }
        writer.beginSection()
        writer.begin("end of database")
    }

    private func write(_ batch: Batch, into writer: StateWriter, _ sink: ByteSink) {
        sink.clear()
        BatchCodec.encode(batch, into: sink)
        writer.write(sink.bytes)
    }

    package func restore(from reader: StateReader) throws(SQLError) {
        precondition(tick == 0 && definitions.isEmpty, "a database is restored before its first tick")
        do throws(StateError) {
            try read(reader)
        } catch {
            throw error.asSQLError
        }
    }

    private func read(_ reader: StateReader) throws(StateError) {
        let form = try reader.readText()
        guard [Database.savedForm, Database.secondForm, Database.firstForm].contains(form) else {
            throw reader.error("a state of \"\(form.prefix(40))\", not of a database as this program saves it")
        }
        let restored = try reader.read(UInt64.self)
        var texts: [DefinitionText] = []
        for _ in 0..<(try reader.readCount(max: Database.textsMax)) {
            var definition = DefinitionText(text: try reader.readText(), searchPath: [])
            definition.isRepeatable = try reader.readFlag()
            for _ in 0..<(try reader.readCount(max: Database.textsMax)) { definition.searchPath.append(try reader.readText()) }
            texts.append(definition)
        }
        var stores: [RelationID: RelationStore]
        do throws(SQLError) {
            stores = try bringBack(texts)
        } catch {
            throw reader.error("what was defined cannot be made again: \(error)")
        }
        try reader.keepingLater { () throws(StateError) in
            try readRelations(reader, stores)
            if form == Database.savedForm { try readIdentities(reader) }
            try readCarried(reader, stores)
            if form != Database.firstForm { try readSources(reader) }
            try readUnits(reader, isOfFirstForm: form == Database.firstForm, &stores)
        }
        surroundings.executor.carryOut(reader.takeLater())
        try reader.expect("end of database")
        _ = markComing()
        setTick(restored)
        visible.locked { content in
            content.catalog = catalog
            content.stores = stores
            content.tick = restored
            hub.retain(catalog, from: restored)
        }
    }

    /// A unit whose state fits its plan gets it; another takes in again what it had taken in (`Database+Rebuild`).
    private func readUnits(
        _ reader: StateReader, isOfFirstForm: Bool, _ stores: inout [RelationID: RelationStore]
    ) throws(StateError) {
        try reader.expect("units")
        let count = try reader.readCount(max: Database.relationsMax)
        guard count == units.count else { throw reader.error("the states of \(count) units, for \(units.count)") }
        var rebuilding = Rebuilding(stores: stores)
        for unit in units {
            guard try reader.read(UInt32.self) == unit.id else { throw reader.error("the state of another unit than \(unit.id)") }
            let saved = try unit.restoreStanding(from: reader, isOfFirstForm: isOfFirstForm) { (source, count, isAside) throws(SQLError) in
                try self.sources[source.id]?.history(source.columns, partitions: 0..<count, areMoved: isAside)
            }
            guard let reason = try objection(to: saved, of: unit, rebuilding, reader) else { continue }
            guard reader.hasSections else { throw StateError(cannotPassOver(unit, reason)) }
            try reader.skipToSection()
            // What failed stands still, whatever its state.
            guard unit.failure == nil else { continue }
            surroundings.executor.carryOut(reader.takeLater())
            do throws(SQLError) {
                try rebuild(unit, as: saved, because: reason, &rebuilding)
            } catch {
                throw StateError(error)
            }
        }
        stores = rebuilding.stores
    }

    /// Gives the unit its saved state; or why it cannot have it.
    private func objection(
        to saved: SavedCircuit, of unit: RunningUnit, _ rebuilding: Rebuilding, _ reader: StateReader
    ) throws(StateError) -> String? {
        guard unit.pipeline.circuit.isOf(saved) else { return "this version runs it by another plan" }
        if unit.inputs.contains(where: rebuilding.changed.contains) { return "this version makes other rows of what it reads" }
        do throws(StateError) {
            // Of what cannot be read nothing is left to be done.
            try reader.keepingLater { () throws(StateError) in try unit.pipeline.circuit.restore(saved, shardsFrom: reader) }
            return nil
        } catch {
            // Of a version in which it cannot be passed over, what cannot be read is the end.
            guard reader.hasSections else { throw error }
            return "this version keeps other things of it: \(error)"
        }
    }

    private func readSources(_ reader: StateReader) throws(StateError) {
        try reader.expect("sources")
        for _ in 0..<(try reader.readCount(max: Database.relationsMax)) {
            let id = RelationID(try reader.read(UInt32.self))
            let works = try reader.readFlag()
            let starts = try reader.readNumbers(Int64.self, max: 1 << 24)
            let source: SharedSource
            do throws(SQLError) {
                source = try bringBackSource(id, at: starts)
            } catch {
                throw reader.error(error.message)
            }
            try source.restore(from: reader)
            if !works { source.fail(SQLError(.internalError, "source \"\(source.name)\" failed before the last restart")) }
        }
    }

    private func readIdentities(_ reader: StateReader) throws(StateError) {
        try reader.expect("identities")
        for _ in 0..<(try reader.readCount(max: Database.relationsMax)) {
            let table = RelationID(try reader.read(UInt32.self))
            identities.set(table, last: try reader.read(Int64.self))
        }
    }

    private func readCarried(_ reader: StateReader, _ stores: [RelationID: RelationStore]) throws(StateError) {
        try reader.expect("carried")
        for _ in 0..<(try reader.readCount(max: Database.relationsMax)) {
            let id = RelationID(try reader.read(UInt32.self))
            guard let store = stores[id] else { throw reader.error("rows of a table that is not there") }
            for _ in 0..<(try reader.readCount(max: Int(UInt32.max))) {
                carried[id, default: []].append(try batch(reader, store.types))
            }
        }
    }

    private func batch(_ reader: StateReader, _ types: [DataType]) throws(StateError) -> Batch {
        try reader.withBytes { (bytes) throws(StateError) in
            var bytes = ByteReader(bytes)
            do throws(ByteError) {
                return try BatchCodec.decode(&bytes, types: types)
            } catch {
                throw reader.error("damaged rows: \(error)")
            }
        }
    }

    private func readRelations(_ reader: StateReader, _ stores: [RelationID: RelationStore]) throws(StateError) {
        try reader.expect("relations")
        for _ in 0..<(try reader.readCount(max: Database.relationsMax)) {
            let id = RelationID(try reader.read(UInt32.self))
            guard let store = stores[id], store.rowCount == 0 else {
                throw reader.error("rows of a relation that is not there, or has rows already")
            }
            let newest = try reader.read(Int64.self)
            if newest != .min { tables[id]?.newestEventTime = newest }
            // Behind the pages stand changes that were not yet to be seen, from the first that takes a row out.
            var changes: [Batch] = []
            for _ in 0..<(try reader.readCount(max: Int(UInt32.max))) {
                let batch = try batch(reader, store.types)
                if batch.weights == nil, changes.isEmpty { store.restore(batch) } else { changes.append(batch) }
            }
            reader.later {
                store.makeIndexes()
                for change in changes { store.apply(change) }
            }
        }
    }
}

internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Units that are paused while others read their sources on. Such a unit steps aside: it gets readers of its own, which stand
/// where the source stands, and judge event time as it does. They wait with it; when it is resumed it reads with them what came
/// meanwhile, up to where the source is by then, beside the others, and is fed again from the end of the tick in which it gets
/// there. All that hangs on nothing but the records of ticks, so that a replay comes to the same.
extension Database {
    /// Who would not get a source's rows, or stop others from getting them, if `unit` were paused or not, whichever it is not
    /// now: where a source cannot be read again, rows for a paused unit are kept nowhere, so that the source stands still with it.
    func checkMeeting(_ unit: RunningUnit, paused isPaused: Bool) throws(SQLError) {
        for source in unit.sources {
            guard let shared = sources[source.id], !shared.isFinished else { continue }
            let others = units.filter { $0.id != unit.id && $0.failure == nil && $0.isPaused != isPaused }
            func name(_ unit: RunningUnit) -> String { unit.objects.first.flatMap { catalog.objects[$0]?.name } ?? "" }
            if !isPaused {
                guard let other = others.first(where: { $0.sources.contains { $0.id == source.id && $0.history == nil } }) else { continue }
                throw SQLError(
                    SQLState("55000"), "source \"\(shared.name)\" stands still, since \"\(name(other))\" is paused", hint: "Resume that first.")
            }
            func wants(_ other: RunningUnit) -> Bool {
                other.sources.contains { $0.id == source.id } || other.inputs.contains { Database.home(of: $0, catalog) == source.id }
            }
            guard let other = others.first(where: wants), try shared.readersAside(source.columns) == nil else { continue }
            throw SQLError(
                .featureNotSupported,
                "source \"\(shared.name)\" cannot be read again, and cannot stand still, since \"\(name(other))\" reads it too",
                hint: "What is defined in one text is paused together.")
        }
    }

    /// A unit that a text pauses, with readers of what its sources will have had when it is resumed.
    struct Pausing {
        var unit: RunningUnit
        var readers: [(source: UnitSource, readers: [any SourcePartition])] = []
    }

    /// What a text pauses that makes the catalog what it is told. Nothing is changed yet.
    func preparePausing(_ next: DatabaseCatalog) throws(SQLError) -> [Pausing] {
        var all: [Pausing] = []
        for unit in units where !unit.isPaused && unit.failure == nil && unit.objects.contains(where: { next.objects[$0]?.isPaused ?? false }) {
            var pausing = Pausing(unit: unit)
            for source in unit.sources where source.history == nil {
                guard let shared = sources[source.id], !shared.isFinished, let readers = try shared.readersAside(source.columns) else { continue }
                pausing.readers.append((source, readers))
            }
            all.append(pausing)
        }
        return all
    }

    /// Its sources may go on without it from now on.
    func stepAside(_ pausing: Pausing) {
        for (source, readers) in pausing.readers {
            guard let shared = sources[source.id] else { continue }
            do throws(SQLError) {
                try pausing.unit.stepAside(source.ordinal, from: shared, readers)
            } catch {
                pausing.unit.fail(error)
            }
        }
    }

    /// Of what came while a unit was paused, and is gone by now.
    func notices(resuming unit: RunningUnit) -> [String] {
        unit.sources.compactMap { source in
            guard let history = source.history, !history.allSatisfy({ $0.isKept(from: $0.position) }) else { return nil }
            return "source \"\(sources[source.id]?.name ?? "")\" has not kept all that came meanwhile: it goes on with what is left"
        }
    }
}

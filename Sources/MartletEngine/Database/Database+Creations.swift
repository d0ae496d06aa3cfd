internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Somebody waits until what he defined has taken in what was there.
struct Creation {
    var unit: UInt32
    var ticket: Ticket
    var answer: Answer
}

/// What is being filled: it cannot be read until the tick at which it joins, and may be given up before.
extension Database {
    /// At the end of a tick: who has taken in everything joins, can be read from this tick on, and is answered for.
    func settleCreations(_ work: inout Work) {
        for unit in units { unit.joinIfFilled() }
        work.catalogChanged = markComing() || work.catalogChanged
        let waiting = creations
        creations = []
        for creation in waiting {
            guard let unit = units.first(where: { $0.id == creation.unit }) else {
                work.answers.append((creation.ticket, .refused(SQLError(.queryCanceled, "it was dropped before it was complete"))))
                continue
            }
            if let failure = unit.failure {
                work.answers.append((creation.ticket, .refused(failure)))
            } else if unit.backfill == nil {
                work.answers.append((creation.ticket, .done(creation.answer)))
            } else {
                creations.append(creation)
            }
        }
    }

    /// Marks what cannot be read yet: views of units that are being filled, and of those that read them. Answers whether
    /// anything is otherwise than before.
    func markComing() -> Bool {
        guard units.contains(where: { $0.backfill != nil }) || hasComing else { return false }
        var coming: Set<RelationID> = []
        for unit in units where unit.failure == nil && (unit.backfill != nil || unit.inputs.contains(where: coming.contains)) {
            coming.formUnion(unit.views.map(\.id))
        }
        var hasChanged = false
        for var object in catalog.all where object.isComing != coming.contains(object.id) {
            object.isComing.toggle()
            catalog.put(object)
            hasChanged = true
        }
        hasComing = !coming.isEmpty
        return hasChanged
    }

    /// How much of what was there before it a unit has taken in, and of how much: rows of relations, and of its sources what
    /// lies from their beginning, or from where it stepped aside, up to where they stand (records; of files bytes). nil: it has joined.
    func filling(of unit: RunningUnit) -> (done: Int, total: Int)? {
        guard unit.isCatchingUp || unit.backfill != nil else { return nil }
        var (done, total) = (unit.backfill?.rowsDone ?? 0, unit.backfill?.rowsTotal ?? 0)
        for source in unit.sources {
            guard let history = source.history, let shared = sources[source.id] else { continue }
            let since = source.asideSince ?? []
            for ((reader, start), end) in zip(zip(history, since + shared.starts.dropFirst(since.count)), shared.positions) {
                done += Int(reader.amount(from: start, to: min(reader.position, end)))
                total += Int(reader.amount(from: start, to: end))
            }
        }
        return (done, total)
    }

    /// Before a unit's step: from when on to reckon how long it will take.
    func timeFilling(of unit: RunningUnit) {
        guard !unit.isPaused, unit.isCatchingUp || unit.backfill != nil else { return unit.fillingBegan = nil }
        guard unit.fillingBegan == nil, let (done, _) = filling(of: unit) else { return }
        unit.fillingBegan = (surroundings.clock.monotonicNanos(), done)
    }

    /// Drops what is still being filled, and pauses again what was.
    func abandon(_ abandoned: Abandoned, _ work: inout Work) -> Answer {
        let chosen: [UInt32] =
            switch abandoned {
            case .creation(let ticket): creations.filter { $0.ticket === ticket }.map(\.unit)
            case .jobs(let numbers): units.map(\.id).filter { numbers.contains(Int64($0)) }
            }
        for unit in units where chosen.contains(unit.id) && (unit.isNewcomer || (unit.isCatchingUp && !unit.isPaused)) {
            for object in unit.objects.compactMap({ catalog.objects[$0] }) {
                let name = CatalogNames.parts(object.name)
                let quoted = [name.schema, name.name].map { "\"" + $0.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" }
                let target = "\(object.noun.uppercased()) \(quoted.joined(separator: "."))"
                let text = DefinitionText(
                    text: unit.isNewcomer ? "DROP \(target) CASCADE" : "ALTER \(target) PAUSE", searchPath: [CatalogNames.defaultSchema])
                // What goes with another of them is gone by then.
                if (try? define(text, &work)) != nil { work.events.append(.define(text)) }
            }
        }
        return Answer(tag: "CANCEL JOBS", tick: work.tick)
    }
}

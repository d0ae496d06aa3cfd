package import MartletCore
internal import MartletDataflow

/// The figures of a database's sources and units in the metrics registry. What is of the same name, one after the other, adds
/// to the same counters; what gets another name takes its counts along. Used by the driver's thread.
package final class DatabaseMetrics {
    private let registry: MetricsRegistry
    private let clock: any Clock
    private var units: [UInt32: PipelineMetrics] = [:]
    private var sources: [RelationID: SourceFigures] = [:]
    private var operators: [UInt32: OperatorMetrics] = [:]
    /// What they are called in the registry.
    private var sourceNames: [RelationID: String] = [:]
    private var viewNames: [UInt32: [String]] = [:]
    private var operatorsNanos: Int64 = .min
    private var updatedNanos: Int64 = .min

    package init(_ registry: MetricsRegistry, clock: any Clock) {
        self.registry = registry
        self.clock = clock
    }

    /// Brings them up to date, unless that was done just before. Between ticks.
    package func update(_ database: Database) {
        let now = clock.monotonicNanos()
        guard updatedNanos == .min || now - updatedNanos >= DatabaseMetrics.periodNanos else { return }
        updatedNanos = now
        followNames(database)
        for (id, source) in database.sources {
            let figures = sources[id] ?? SourceFigures(source.name, registry: registry)
            sources[id] = figures
            figures.update(source.circuit, 0, passedOver: source.dropped, wallMicros: clock.wallMicros())
        }
        sources = sources.filter { database.sources[$0.key] != nil }
        updateOperators(database, now)
        for unit in database.units {
            let figures = units[unit.id] ?? PipelineMetrics(unit.pipeline, registry: registry, clock: clock, names: viewNames[unit.id])
            units[unit.id] = figures
            figures.update(unit.pipeline)
        }
        if units.count > database.units.count {
            let living = Set(database.units.map(\.id))
            units = units.filter { living.contains($0.key) }
        }
    }

    /// Where something is called otherwise now, the series with the old name go, all of them before any gets its new name:
    /// two may have changed theirs for one another's.
    private func followNames(_ database: Database) {
        var gone: [MetricLabel] = []
        for (id, source) in database.sources {
            if let known = sourceNames.updateValue(source.name, forKey: id), known != source.name {
                gone.append(MetricLabel("source", known))
                sources[id] = nil
            }
        }
        for unit in database.units {
            let names = unit.viewNames(database.catalog)
            guard let known = viewNames.updateValue(names, forKey: unit.id), known != names else { continue }
            gone += zip(known, names).filter { $0 != $1 }.map { MetricLabel("view", $0.0) }
            units[unit.id] = nil
            operators[unit.id] = nil
        }
        for label in gone { registry.removeSeries(with: label) }
    }

    private func updateOperators(_ database: Database, _ now: Int64) {
        guard operatorsNanos == .min || now - operatorsNanos >= DatabaseMetrics.operatorsPeriodNanos else { return }
        operatorsNanos = now
        let blocked = database.surroundings.driverStanding().blockedNanos
        for unit in database.units {
            let known = operators[unit.id]
                ?? OperatorMetrics(
                    unit.pipeline.circuit, unit: unit.id, names: viewNames[unit.id] ?? unit.viewNames(database.catalog), registry: registry, nanos: unit.began.nanos, blockedNanos: unit.began.blockedNanos)
            operators[unit.id] = known
            known.update(unit.pipeline.circuit, nanos: now, blockedNanos: blocked)
        }
        guard operators.count > database.units.count else { return }
        let living = Set(database.units.map(\.id))
        for (id, gone) in operators where !living.contains(id) { gone.end() }
        operators = operators.filter { living.contains($0.key) }
    }

    /// There are many, and their state is summed up for it.
    private static let operatorsPeriodNanos: Int64 = 1_000_000_000
    /// They are looked at by people and scrapers.
    private static let periodNanos: Int64 = 50_000_000
}

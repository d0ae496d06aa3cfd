/// What a scalar expression may depend on besides its arguments.
package struct EvaluationContext: Sendable {
    /// The session's time zone (`SET timezone`).
    package var zone: TimeZone
    /// The statement's or the tick's time, microseconds since 1970-01-01 UTC; `'now'` and `'today'` in dates mean this.
    package var now: Int64
    /// Finds a time zone by name; only UTC and fixed offsets are known without one, since Core reads no files.
    package var zones: @Sendable (String) -> TimeZone?
    /// Answers what a session and the system catalogs know.
    package var catalog: (any CatalogFunctions)?

    package init(
        zone: TimeZone = .utc, now: Int64 = 0, zones: @escaping @Sendable (String) -> TimeZone? = { _ in nil },
        catalog: (any CatalogFunctions)? = nil
    ) {
        self.catalog = catalog
        self.zone = zone
        self.now = now
        self.zones = zones
    }

    package static let utc = EvaluationContext()

    /// A zone by name: UTC and its aliases, a fixed offset such as "+02" or "UTC+2" (POSIX sign), or a loaded zone.
    package func zone(named name: String) -> TimeZone? {
        TimeZone(fixedName: name) ?? zones(name)
    }
}

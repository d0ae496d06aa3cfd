internal import Synchronization

/// One `name="value"` pair of a series. Values never hold keys or other user data, only names from the catalog.
package struct MetricLabel: Sendable, Hashable {
    package var name: String
    package var value: String
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// How a metric's integers relate to the base unit it is shown in.
package enum MetricUnit: Sendable, Equatable {
    /// Things, bytes: shown as they are.
    case one
    /// Kept in nanoseconds, shown in seconds.
    case nanosecondsAsSeconds
    /// Kept in microseconds, shown in seconds.
    case microsecondsAsSeconds

    var scale: Double {
        switch self {
        case .one: 1
        case .nanosecondsAsSeconds: 1e-9
        case .microsecondsAsSeconds: 1e-6
        }
    }
}

/// Only ever grows. Adding is one atomic instruction; hot loops add once per batch.
package final class Counter: Sendable {
    private let total = Atomic<UInt64>(0)

    package func add(_ amount: UInt64 = 1) { total.wrappingAdd(amount, ordering: .relaxed) }

    /// A negative amount, which only a bug can make, is not counted.
    package func add(_ amount: Int) { if amount > 0 { add(UInt64(amount)) } }

    package var value: UInt64 { total.load(ordering: .relaxed) }
}

/// Goes up and down.
package final class Gauge: Sendable {
    private let current = Atomic<Int64>(0)

    package func set(_ value: Int64) { current.store(value, ordering: .relaxed) }
    package func add(_ amount: Int64) { current.wrappingAdd(amount, ordering: .relaxed) }

    package var value: Int64 { current.load(ordering: .relaxed) }
}

/// Every metric of a process (or of one engine in a test), and its page in Prometheus' text format.
///
/// Asking twice for a series gives the same object, so whoever counts keeps it and never asks on the data path. Names are
/// the program's own: one that breaks the rules (`martlet_…` in base units, counters end in `_total`) or that is
/// registered as two kinds is a broken invariant.
package final class MetricsRegistry: Sendable {
    private enum Series {
        case counter(Counter)
        case gauge(Gauge)
        case computed(kind: String, @Sendable () -> Double)
        case histogram(Histogram)

        var kind: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .computed(let kind, _): kind
            case .histogram: "histogram"
            }
        }
    }

    private struct Family {
        var help: String
        var kind: String
        var unit: MetricUnit
        var series: [[MetricLabel]: Series]
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    /// `name` ends in `_total`.
    package func counter(_ name: String, help: String, unit: MetricUnit = .one, _ labels: [MetricLabel] = []) -> Counter {
        precondition(name.hasSuffix("_total"), "the counter \(name) must end in _total")
        guard case .counter(let counter) = series(name, help, unit, labels, { .counter(Counter()) }) else { mixed(name) }
        return counter
    }

    package func gauge(_ name: String, help: String, unit: MetricUnit = .one, _ labels: [MetricLabel] = []) -> Gauge {
        guard case .gauge(let gauge) = series(name, help, unit, labels, { .gauge(Gauge()) }) else { mixed(name) }
        return gauge
    }

    /// A gauge that is asked for its value, in the base unit, when the page is made. Called by the thread that renders;
    /// must not block nor use this registry. A series that is there already keeps its first closure.
    package func gauge(
        _ name: String, help: String, _ labels: [MetricLabel] = [], value: @escaping @Sendable () -> Double
    ) {
        guard case .computed = series(name, help, .one, labels, { .computed(kind: "gauge", value) }) else { mixed(name) }
    }

    /// As the computed gauge, for what somebody else counts upwards.
    package func counter(
        _ name: String, help: String, _ labels: [MetricLabel] = [], value: @escaping @Sendable () -> Double
    ) {
        precondition(name.hasSuffix("_total"), "the counter \(name) must end in _total")
        guard case .computed = series(name, help, .one, labels, { .computed(kind: "counter", value) }) else { mixed(name) }
    }

    package func histogram(
        _ name: String, help: String, unit: MetricUnit = .one, _ labels: [MetricLabel] = []
    ) -> Histogram {
        guard case .histogram(let histogram) = series(name, help, unit, labels, { .histogram(Histogram()) }) else {
            mixed(name)
        }
        return histogram
    }

    /// Forgets every series that carries `label`, as when a view is dropped. Objects held elsewhere go on counting unseen.
    package func removeSeries(with label: MetricLabel) {
        families.withLock { families in
            for name in families.keys {
                families[name]!.series = families[name]!.series.filter { !$0.key.contains(label) }
            }
        }
    }

    private func mixed(_ name: String) -> Never { preconditionFailure("the metric \(name) is registered as two kinds") }

    private func series(
        _ name: String, _ help: String, _ unit: MetricUnit, _ labels: [MetricLabel], _ make: () -> Series
    ) -> Series {
        families.withLock { families in
            if let family = families[name], let found = family.series[labels] { return found }
            let made = make()
            precondition(isName(name, allowingColon: true), "\(name) is not a metric name")
            for label in labels {
                precondition(isName(label.name, allowingColon: false), "\(label.name) is not a label name")
            }
            var family = families[name] ?? Family(help: help, kind: made.kind, unit: unit, series: [:])
            precondition(family.kind == made.kind, "the metric \(name) is registered as two kinds")
            family.series[labels] = made
            families[name] = family
            return made
        }
    }

    /// The page: text exposition format 0.0.4, families by name, series by labels.
    package func renderPrometheus() -> String {
        let sink = ByteSink(capacity: 16384)
        renderPrometheus(into: sink)
        return sink.text
    }

    package func renderPrometheus(into sink: ByteSink) {
        // A copy of the tables, so that no closure runs under the lock.
        let families = families.withLock { $0 }.sorted { $0.key < $1.key }
        for (name, family) in families where !family.series.isEmpty {
            sink.append(text: "# HELP \(name) \(escape(family.help, quotes: false))\n# TYPE \(name) \(family.kind)\n")
            for (labels, series) in family.series.sorted(by: { precedes($0.key, $1.key) }) {
                let scale = family.unit.scale
                switch series {
                case .counter(let counter):
                    line(sink, name, labels, scale == 1 ? "\(counter.value)" : number(Double(counter.value) * scale))
                case .gauge(let gauge):
                    line(sink, name, labels, scale == 1 ? "\(gauge.value)" : number(Double(gauge.value) * scale))
                case .computed(_, let value):
                    line(sink, name, labels, number(value()))
                case .histogram(let histogram):
                    render(histogram.snapshot(), name, labels, scale, sink)
                }
            }
        }
    }

    /// Buckets at powers of two of the kept unit, from 1 µs (or 1) up to the first that holds everything, at most 2⁴⁰.
    private func render(
        _ snapshot: Histogram.Snapshot, _ name: String, _ labels: [MetricLabel], _ scale: Double, _ sink: ByteSink
    ) {
        let first = scale == 1e-9 ? 10 : 0
        var exponent = first
        while exponent <= 40 {
            let bound = Int64(1) << Int64(exponent)
            let below = snapshot.count(upTo: bound)
            let limit = scale == 1 ? "\(bound)" : number(Double(bound) * scale)
            line(sink, name + "_bucket", labels + [MetricLabel("le", limit)], "\(below)")
            if below == snapshot.count && exponent >= first + 10 { break }
            exponent += 1
        }
        line(sink, name + "_bucket", labels + [MetricLabel("le", "+Inf")], "\(snapshot.count)")
        line(sink, name + "_sum", labels, scale == 1 ? "\(snapshot.sum)" : number(Double(snapshot.sum) * scale))
        line(sink, name + "_count", labels, "\(snapshot.count)")
    }

    private func line(_ sink: ByteSink, _ name: String, _ labels: [MetricLabel], _ value: String) {
        sink.append(text: name)
        for (index, label) in labels.enumerated() {
            sink.append(text: "\(index == 0 ? "{" : ",")\(label.name)=\"\(escape(label.value, quotes: true))\"")
        }
        sink.append(text: "\(labels.isEmpty ? "" : "}") \(value)\n")
    }
}

private func precedes(_ left: [MetricLabel], _ right: [MetricLabel]) -> Bool {
    left.lexicographicallyPrecedes(right) { $0.name != $1.name ? $0.name < $1.name : $0.value < $1.value }
}

/// A float as Go's parser, which Prometheus uses, reads it; whole numbers without a fraction.
private func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if value == value.rounded() && abs(value) < 1e15 { return "\(Int64(value))" }
    return "\(value)"
}

/// Backslash and line feed always, the double quote in label values.
private func escape(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": escaped += "\\\\"
        case "\n": escaped += "\\n"
        case "\"" where quotes: escaped += "\\\""
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, the colon in metric names only.
private func isName(_ name: String, allowingColon: Bool) -> Bool {
    guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122, 95: true
        case 58: allowingColon
        default: false
        }
    }
}

internal import MartletCore
internal import MartletDataflow

/// The figures of a circuit's operators in the metrics registry. Used by the driver's thread.
final class OperatorMetrics {
    private struct Figures {
        let rowsIn: Counter
        let rowsOut: Counter
        let busy: Counter
        let idle: Counter
        let backpressured: Counter
        let stateRows: Gauge
        let stateBytes: Gauge
        var last = NodeFigures()
    }

    private var nodes: [Figures] = []
    private var last: (nanos: Int64, blockedNanos: Int64)

    /// - Parameters:
    ///   - unit: tells operators of circuits apart that were defined apart.
    ///   - names: what the circuit's views and sinks are called, in its order.
    init(_ circuit: Circuit, unit: UInt32, names: [String], registry: MetricsRegistry, nanos: Int64, blockedNanos: Int64) {
        last = (nanos, blockedNanos)
        for (at, node) in circuit.graph.nodes.enumerated() {
            let view = node.view.map { names[$0] } ?? ""
            let labels = [MetricLabel("unit", "\(unit)"), MetricLabel("operator", "\(at) \(node.name)"), MetricLabel("view", view)]
            func time(_ state: String) -> Counter {
                registry.counter(
                    "martlet_operator_time_seconds_total", help: "What an operator's time went into, over all shards: busy, idle, backpressured.",
                    unit: .nanosecondsAsSeconds, labels + [MetricLabel("state", state)])
            }
            nodes.append(
                Figures(
                    rowsIn: registry.counter("martlet_operator_rows_in_total", help: "Rows, and changes of rows, that an operator took.", labels),
                    rowsOut: registry.counter("martlet_operator_rows_out_total", help: "Rows, and changes of rows, that it gave.", labels),
                    busy: time("busy"), idle: time("idle"), backpressured: time("backpressured"),
                    stateRows: registry.gauge("martlet_operator_state_rows", help: "Rows or groups that an operator keeps.", labels),
                    stateBytes: registry.gauge("martlet_operator_state_bytes", help: "About the memory of its state.", labels)))
        }
    }

    func update(_ circuit: Circuit, nanos: Int64, blockedNanos: Int64) {
        let figures = circuit.figures
        let shards = Int64(circuit.shardCount)
        let passed = max(nanos - last.nanos, 0) * shards
        let blocked = min(max(blockedNanos - last.blockedNanos, 0) * shards, passed)
        for at in nodes.indices {
            let (now, before) = (figures[at], nodes[at].last)
            let busy = min(max(now.busyNanos - before.busyNanos, 0), passed)
            let backpressured = min(blocked, passed - busy)
            nodes[at].rowsIn.add(now.rowsIn &- before.rowsIn)
            nodes[at].rowsOut.add(now.rowsOut &- before.rowsOut)
            nodes[at].busy.add(UInt64(busy))
            nodes[at].backpressured.add(UInt64(backpressured))
            nodes[at].idle.add(UInt64(passed - busy - backpressured))
            nodes[at].stateRows.set(Int64(now.state.rows))
            nodes[at].stateBytes.set(Int64(now.state.bytes))
            nodes[at].last = now
        }
        last = (nanos, blockedNanos)
    }

    /// It runs no more.
    func end() {
        for node in nodes {
            node.stateRows.set(0)
            node.stateBytes.set(0)
        }
    }
}

internal import MartletCore
internal import MartletPlatform

/// Runs figures and prints them.
struct Report {
    /// Only figures whose name contains this.
    let filter: String
    let commit: String
    let machine: String
    let rounds: Int
    private let clock = SystemClock()

    /// `[FIGURE] --commit C --machine M --rounds N`; the runner knows the first two.
    init(arguments: [String]) {
        var filter = "", commit = "", machine = "", rounds = 5
        var at = 1
        while at < arguments.count {
            let value = at + 1 < arguments.count ? arguments[at + 1] : ""
            switch arguments[at] {
            case "--commit": commit = value
            case "--machine": machine = value
            case "--rounds": rounds = max(Int(value) ?? rounds, 1)
            default:
                filter = arguments[at]
                at -= 1
            }
            at += 2
        }
        self.filter = filter
        self.commit = commit
        self.machine = machine
        self.rounds = rounds
    }

    /// `figure` may be the beginning of several figures' names.
    func wants(_ figure: String) -> Bool { filter.isEmpty || figure.contains(filter) || filter.hasPrefix(figure) }

    /// Seconds that `body` takes.
    func seconds(_ body: () -> Void) -> Double {
        let start = clock.monotonicNanos()
        body()
        return Double(clock.monotonicNanos() - start) / 1e9
    }

    /// Medians of interleaved rounds, so that a busy moment hits all alike. The first round is thrown away.
    func medians(_ bodies: [() -> Void]) -> [Double] {
        var times = [[Double]](repeating: [], count: bodies.count)
        for round in 0...rounds {
            for (index, body) in bodies.enumerated() {
                let time = seconds(body)
                if round > 0 { times[index].append(time) }
            }
        }
        return times.map { $0.sorted()[$0.count / 2] }
    }

    /// One line. `ratio` is the peer's time over ours.
    func print(
        _ figure: String, engine: String = "martlet", seconds: Double, rows: Int, value: Double, unit: String,
        ratio: Double? = nil
    ) {
        func text(_ value: Double) -> String {
            let scaled = (value * 10000).rounded() / 10000
            return "\(scaled)"
        }
        let ratioText = ratio.map(text) ?? "null"
        Swift.print(
            "{\"bench\":\"kernels\",\"figure\":\"\(figure)\",\"engine\":\"\(engine)\",\"seconds\":\(text(seconds)),"
                + "\"rows\":\(rows),\"value\":\(text(value)),\"unit\":\"\(unit)\",\"ratio\":\(ratioText),"
                + "\"rss_bytes\":null,\"machine\":\"\(machine)\",\"commit\":\"\(commit)\"}")
    }
}

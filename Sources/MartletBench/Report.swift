internal import MartletCore
internal import MartletPlatform

/// Runs figures and prints them.
struct Report {
    /// Only figures whose name contains this.
    let filter: String
    let commit: String
    let machine: String
    let rounds: Int
    /// Rows a figure works on.
    let rows: Int
    /// The best round instead of the median: for profiling on a busy machine, not for comparing.
    let takesBest: Bool
    private let clock = SystemClock()

    /// `[FIGURE] --commit C --machine M --rounds N --rows N --best yes`; the runner knows the first two.
    init(arguments: [String]) {
        var filter = "", commit = "", machine = "", rounds = 5, rows = 200_000, takesBest = false
        var at = 1
        while at < arguments.count {
            let value = at + 1 < arguments.count ? arguments[at + 1] : ""
            switch arguments[at] {
            case "--commit": commit = value
            case "--machine": machine = value
            case "--rows": rows = max(Int(value) ?? rows, 1)
            case "--best": takesBest = value == "yes"
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
        self.rows = rows
        self.takesBest = takesBest
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
        return times.map { $0.sorted()[takesBest ? 0 : $0.count / 2] }
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

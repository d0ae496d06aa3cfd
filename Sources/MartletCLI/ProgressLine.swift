import Glibc
import MartletConnectors
import MartletCore
import MartletDataflow
import MartletEngine
import MartletPlatform

/// The one live line of a run on a terminal: rows, rows/s, share done, time left, watermark, late, dead letters.
final class ProgressLine {
    private static let everyNanos: Int64 = 200_000_000

    private let run: PipelineRun
    private let clock = SystemClock()
    private let startNanos: Int64
    private var shownNanos: Int64 = 0
    private var rateRows: UInt64 = 0
    private var rateNanos: Int64
    private var rowsPerSecond: Double = 0

    init(_ run: PipelineRun) {
        self.run = run
        startNanos = clock.monotonicNanos()
        rateNanos = startNanos
    }

    func update() {
        let now = clock.monotonicNanos()
        guard now - shownNanos >= ProgressLine.everyNanos else { return }
        shownNanos = now
        show(line(now))
    }

    func clear() { writeAll("\r\u{1B}[K", to: STDERR_FILENO) }

    func finish() {
        let now = clock.monotonicNanos()
        rateRows = 0
        rateNanos = startNanos
        show(line(now))
        writeAll("\n", to: STDERR_FILENO)
    }

    private func show(_ text: String) {
        let width = Terminal.width(STDERR_FILENO) ?? 80
        writeAll("\r\(text.prefix(max(width - 1, 1)))\u{1B}[K", to: STDERR_FILENO)
    }

    private func line(_ now: Int64) -> String {
        let circuit = run.pipeline.circuit
        var rows: UInt64 = 0
        var dead: UInt64 = 0
        for index in run.pipeline.sources.indices {
            let intake = circuit.intake(of: index)
            rows += intake.rows
            dead += intake.rejected
        }
        var late: UInt64 = 0
        for index in circuit.graph.views.indices { late += circuit.counters(of: index).late }
        let seconds = Double(now - rateNanos) * 1e-9
        if seconds >= 0.5 || rateRows == 0 {
            rowsPerSecond = Double(rows - rateRows) / max(seconds, 1e-9)
            rateRows = rows
            rateNanos = now
        }
        var parts = ["\(grouped(rows)) rows", "\(grouped(UInt64(rowsPerSecond)))/s"]
        let progress = circuit.progress
        if let total = progress.total, total > 0 {
            let share = min(Double(progress.done) / Double(total), 1)
            parts.append("\(Int(share * 100)) %")
            let elapsed = Double(now - startNanos) * 1e-9
            if share > 0.01, share < 1 { parts.append("\(Int(elapsed / share * (1 - share) + 0.5)) s left") }
        }
        if let watermark = circuit.sourceWatermarks.filter({ $0 != .start && $0 != .end }).min() {
            parts.append("watermark \(Value.timestamp(watermark).text)")
        }
        parts.append("late \(grouped(late))")
        parts.append("dead letters \(grouped(dead))")
        return parts.joined(separator: "  ")
    }
}

/// 1234567 as "1,234,567".
func grouped(_ number: UInt64) -> String {
    var text = ""
    for (index, digit) in String(number).reversed().enumerated() {
        if index > 0, index % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return String(text.reversed())
}

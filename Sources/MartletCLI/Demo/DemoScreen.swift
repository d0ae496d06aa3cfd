import Glibc
import MartletPlatform

/// Lines on standard output, coloured on a terminal unless NO_COLOR says otherwise.
struct DemoScreen {
    enum Style: String {
        case plain = "0", strong = "1", faint = "2", alert = "31", good = "32", late = "33", dead = "35"
    }

    private let usesColor = Terminal.usesColor(STDOUT_FILENO)
    private let width = max(40, min(Terminal.width(STDOUT_FILENO) ?? 100, 120))

    func paint(_ text: String, _ style: Style) -> String {
        usesColor && style != .plain ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    func line(_ text: String = "") { printOut(text) }

    func heading(_ text: String) {
        printOut("")
        printOut(paint(text, .strong))
    }

    /// A label and what there is to say of it, in columns.
    func fact(_ label: String, _ text: String, _ style: Style = .plain) {
        printOut("  " + paint(padded(label, 18), style) + text)
    }

    /// `text` as far as it fits behind `indent` columns.
    func clipped(_ text: String, indent: Int) -> String {
        let room = max(width - indent, 20)
        return text.count <= room ? text : String(text.prefix(room - 1)) + "…"
    }

    func padded(_ text: String, _ columns: Int) -> String {
        text + String(repeating: " ", count: max(columns - text.count, text.isEmpty ? 0 : 1))
    }
}

/// 0.0123 as "12 ms", with two or three digits that matter.
func duration(nanos: Int64) -> String {
    let value = Double(nanos)
    switch nanos {
    case ..<1_000: return "\(nanos) ns"
    case ..<1_000_000: return "\(short(value / 1e3)) µs"
    case ..<1_000_000_000: return "\(short(value / 1e6)) ms"
    default: return "\(short(value / 1e9)) s"
    }
}

func size(bytes: Int64) -> String {
    bytes < 1_000_000 ? "\(short(Double(bytes) / 1e3)) kB" : "\(short(Double(bytes) / 1e6)) MB"
}

private func short(_ value: Double) -> String {
    if value >= 10 { return String(Int(value.rounded())) }
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
}

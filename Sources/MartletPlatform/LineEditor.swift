internal import CMartletEdit
internal import Glibc

/// Lines from a terminal, with editing and a history that outlives the process. One per process, one thread at a time.
package final class LineEditor {
    private let historyPath: String?
    private static let historyLinesMax: Int32 = 2_000

    /// `historyPath`: where earlier lines are; nil: nothing is kept.
    package init(historyPath: String?) {
        self.historyPath = historyPath
        if let historyPath { martlet_edit_load(historyPath) }
    }

    deinit { if let historyPath { martlet_edit_save(historyPath, LineEditor.historyLinesMax) } }

    /// nil: the end of the input.
    package func line(prompt: String) -> String? {
        guard let raw = martlet_edit_line(prompt) else { return nil }
        defer { free(raw) }
        return String(cString: raw)
    }

    package func remember(_ line: String) { martlet_edit_remember(line) }
}

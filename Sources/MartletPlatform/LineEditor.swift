internal import CMartletEdit
internal import Glibc

/// Lines from a terminal, with editing and a history that outlives the process. One per process, one thread at a time.
package final class LineEditor {
    package enum Line: Equatable {
        case line(String)
        /// Ctrl-C gave it up.
        case interrupted
        case end
    }

    private let historyPath: String?
    private static let historyLinesMax: Int32 = 2_000
    /// What the word before the cursor may become: the line up to the word, and the word.
    private var candidates: ((_ before: String, _ word: String) -> [String])?

    /// `historyPath`: where earlier lines are; nil: nothing is kept.
    package init(historyPath: String?) {
        self.historyPath = historyPath
        if let historyPath { martlet_edit_load(historyPath) }
    }

    deinit { if let historyPath { martlet_edit_save(historyPath, LineEditor.historyLinesMax) } }

    package func line(prompt: String) -> Line {
        var isInterrupted: Int32 = 0
        guard let raw = martlet_edit_line(prompt, &isInterrupted) else { return isInterrupted != 0 ? .interrupted : .end }
        defer { free(raw) }
        return .line(String(cString: raw))
    }

    package func remember(_ line: String) { martlet_edit_remember(line) }

    /// Asks `candidates` when Tab is pressed. The editor must live as long as lines are read.
    package func complete(with candidates: @escaping (_ before: String, _ word: String) -> [String]) {
        self.candidates = candidates
        martlet_edit_complete_with(offerCandidates, Unmanaged.passUnretained(self).toOpaque())
    }

    fileprivate func offer(_ before: String, _ word: String) {
        for candidate in candidates?(before, word) ?? [] { martlet_edit_offer(candidate) }
    }

    /// Ctrl-C gives up the line at hand; while something is waited for it sends `bytes` to the address.
    package func interruptsSend(_ bytes: UnsafeRawBufferPointer, to address: ListenAddress) {
        // Without an address there is nobody to send to, and Ctrl-C ends the program as ever.
        _ = martlet_edit_interrupt_sends(address.host, address.port, bytes.baseAddress, bytes.count)
    }
}

private func offerCandidates(_ context: UnsafeMutableRawPointer?, _ line: UnsafePointer<CChar>?, _ start: Int32, _ word: UnsafePointer<CChar>?) {
    guard let context, let line, let word else { return }
    let editor = Unmanaged<LineEditor>.fromOpaque(context).takeUnretainedValue()
    let bytes = String(cString: line).utf8.prefix(Int(max(start, 0)))
    editor.offer(String(decoding: bytes, as: UTF8.self), String(cString: word))
}

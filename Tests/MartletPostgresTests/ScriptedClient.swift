import MartletCore
import MartletPostgres

/// Plays scripts of messages against a conversation with a fake session.
///
///     hello                 a start-up whose answers are not shown
///     startup user=ann …    parse NAME TEXT    bind PORTAL STATEMENT [@b] [value|NULL|0xHEX …]    describe s|p NAME
///     execute PORTAL [N]    close s|p NAME     sync flush terminate       query TEXT
///     data TEXT with \n and \t, done, copyfail TEXT           release N                  raw HEX
///
/// `-` is the empty name. `@b`: results in binary; a parameter in hexadecimal is binary.
final class ScriptedClient {
    let host = FakeHost()
    let conversation: Conversation
    let writer = FrontendWriter(ByteSink())
    private var traced = 0

    init(limits: ConversationLimits = ConversationLimits()) {
        conversation = Conversation(host, output: ByteSink(), limits: limits)
    }

    func play(_ script: String) -> String {
        var lines: [String] = []
        for line in script.split(separator: "\n") {
            if line == "hello" {
                _ = play("startup user=ann")
                continue
            }
            write(String(line))
            let progress = writer.sink.isEmpty ? conversation.resume() : deliver()
            let output = conversation.output.bytes
            if output.count == 1 {
                lines.append(String(UnicodeScalar(output[0])))
                conversation.output.clear()
            }
            lines += takeMessages().map(words)
            lines += host.session.trace[traced...].map { "· " + $0 }
            traced = host.session.trace.count
            switch progress {
            case .idle, .full: break
            case .waiting: lines.append("(waiting)")
            case .closed: lines.append("(closed)")
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Gives the conversation what was written, message by message.
    func deliver() -> Conversation.Progress {
        var progress = Conversation.Progress.idle
        var bytes = Array(writer.sink.bytes)
        writer.sink.clear()
        while !bytes.isEmpty {
            let length = bytes.withUnsafeBytes { FrontendMessage.frameLength($0) } ?? bytes.count
            let frame = Array(bytes[..<min(length, bytes.count)])
            bytes.removeFirst(frame.count)
            progress = frame.withUnsafeBytes { conversation.receive($0) }
        }
        return progress
    }

    func takeMessages() -> [BackendMessage] {
        var found: [BackendMessage] = []
        var rest = conversation.output.bytes
        while let length = BackendMessage.length(rest), rest.count >= length {
            if let message = try? BackendMessage(UnsafeRawBufferPointer(rebasing: rest[..<length])) { found.append(message) }
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        }
        conversation.output.clear()
        return found
    }

    private func write(_ line: String) {
        var words = line.split(separator: " ").map { $0 == "-" ? "" : String($0) }
        let verb = words.removeFirst()
        let text = line.split(separator: " ", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        switch verb {
        case "startup", "startup3.2", "startup3.9":
            let parameters = words.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
            let minor = verb == "startup" ? 0 : verb == "startup3.2" ? 2 : 9
            writer.startup(parameters.map { ($0[0], $0[1].split(separator: "+").joined(separator: " ")) }, minor: minor)
        case "ssl": writer.encryptionRequest()
        case "query": writer.query(text)
        case "parse": writer.parse(words.dropFirst().joined(separator: " "), name: words[0])
        case "bind":
            let isBinary = words.contains("@b")
            let values = words.dropFirst(2).filter { $0 != "@b" }
            writer.bind(
                portal: words[0], statement: words[1], formats: values.map { $0.hasPrefix("0x") ? 1 : 0 },
                parameters: values.map { $0 == "NULL" ? nil : $0.hasPrefix("0x") ? hexadecimal($0.dropFirst(2)) : Array($0.utf8) },
                resultFormats: isBinary ? [1] : [])
        case "describe": writer.describe(words[0] == "s" ? .statement : .portal, words.count > 1 ? words[1] : "")
        case "close": writer.close(words[0] == "s" ? .statement : .portal, words.count > 1 ? words[1] : "")
        case "execute": writer.execute(portal: words[0], rowsMax: words.count > 1 ? Int32(words[1])! : 0)
        case "sync": writer.sync()
        case "flush": writer.flush()
        case "terminate": writer.terminate()
        case "data": unescaped(text).withUnsafeBytes { writer.copyData($0) }
        case "done": writer.copyDone()
        case "copyfail": writer.copyFail(text)
        case "release": host.session.released = Int(words[0])!
        case "raw": for byte in hexadecimal(words.joined()[...]) { writer.sink.append(byte) }
        default: preconditionFailure("no such line: \(line)")
        }
    }

    private func unescaped(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8 {
            if !isEscaped, byte == UInt8(ascii: "\\") {
                isEscaped = true
                continue
            }
            bytes.append(!isEscaped ? byte : byte == UInt8(ascii: "n") ? 10 : byte == UInt8(ascii: "t") ? 9 : byte)
            isEscaped = false
        }
        return bytes
    }

    private func hexadecimal(_ text: Substring) -> [UInt8] {
        let nibbles = text.utf8.compactMap { Hexadecimal.value(of: $0) }
        return stride(from: 0, to: nibbles.count - 1, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
    }

    private func words(_ message: BackendMessage) -> String {
        func shown(_ cell: [UInt8]?) -> String {
            guard let cell else { return "NULL" }
            return cell.contains { $0 < 0x20 } ? "0x" + Hexadecimal.text(cell) : String(decoding: cell, as: UTF8.self)
        }
        func shown(_ notice: SQLNotice) -> String {
            let error = notice.error
            return "\(notice.severity) \(error)" + (error.detail.map { " / \($0)" } ?? "") + (error.hint.map { " / \($0)" } ?? "")
                + (error.position.map { " at \($0)" } ?? "")
        }
        switch message {
        case .rowDescription(let columns):
            return "columns " + columns.map { "\($0.name):\($0.type)\($0.isBinary ? "b" : "")" }.joined(separator: " ")
        case .dataRow(let cells): return "row " + cells.map(shown).joined(separator: "|")
        case .copyData(let bytes): return "data " + shown(bytes)
        case .commandComplete(let tag): return "complete \(tag)"
        case .ready(let status): return "ready \(status)".split(separator: "MartletCore.TransactionStatus.").joined()
        case .error(let notice): return "error " + shown(notice)
        case .notice(let notice): return "notice " + shown(notice)
        default: return "\(message)"
        }
    }
}

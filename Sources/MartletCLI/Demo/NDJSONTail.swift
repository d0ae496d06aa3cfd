import MartletCore
import MartletPlatform

/// Reads the complete lines that a file of ours has gained since the last look. Missing files have none.
final class NDJSONTail {
    private let path: String
    private var file: SystemFile?
    private var position: Int64 = 0
    private var rest: [UInt8] = []

    init(_ path: String) { self.path = path }

    /// Hands each new line, without its newline, to `body`.
    func read(_ body: (JSONLine) -> Void) throws(IOError) {
        if file == nil {
            guard try SystemDisk().stat(path) != nil else { return }
            file = try SystemDisk().openFile(path, .read)
        }
        guard let file else { return }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk, at: position)
            if count == 0 { return }
            position += Int64(count)
            rest.append(contentsOf: UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                body(JSONLine(bytes: rest[start..<end]))
                start = end + 1
            }
            rest.removeFirst(start)
        }
    }
}

/// One flat JSON object as our own sinks write it: `"name":` never occurs within a string unescaped.
struct JSONLine {
    let bytes: ArraySlice<UInt8>

    /// The value's text: a string without quotes and with its escapes resolved, or the bare value; nil if absent or null.
    func value(_ name: String) -> String? {
        let key = Array("\"\(name)\":".utf8)
        var at = bytes.startIndex
        while at + key.count <= bytes.endIndex {
            if bytes[at] == key[0] && bytes[at...].starts(with: key) { return text(from: at + key.count) }
            at += 1
        }
        return nil
    }

    private func text(from start: Int) -> String? {
        guard start < bytes.endIndex, bytes[start] == UInt8(ascii: "\"") else {
            let bare = String(decoding: bytes[start...].prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "}") }, as: UTF8.self)
            return bare == "null" ? nil : bare
        }
        var found: [UInt8] = []
        var at = start + 1
        while at < bytes.endIndex, bytes[at] != UInt8(ascii: "\"") {
            if bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.endIndex {
                at += 1
                // \uXXXX stays as it is; for showing, that is enough.
                found += bytes[at] == UInt8(ascii: "u") ? [UInt8(ascii: "\\"), bytes[at]] : [JSONLine.plain(bytes[at])]
            } else {
                found.append(bytes[at])
            }
            at += 1
        }
        return String(decoding: found, as: UTF8.self)
    }

    private static func plain(_ escape: UInt8) -> UInt8 {
        switch escape {
        case UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"), UInt8(ascii: "b"), UInt8(ascii: "f"): UInt8(ascii: " ")
        default: escape
        }
    }
}

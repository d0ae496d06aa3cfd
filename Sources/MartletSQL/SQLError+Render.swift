package import MartletCore

extension SQLError {
    /// psql's layout, with the place as file:line:column for editors:
    ///
    ///     pipeline.sql:3:8
    ///     ERROR:  column "amuont" does not exist
    ///     LINE 3: SELECT amuont FROM payments
    ///                    ^
    ///     HINT:  Perhaps you meant to reference the column "payments.amount".
    ///
    /// `position` is the 1-based character offset into `text`. Long lines are cut around the place.
    package func render(source: String, text: String) -> String {
        var lines: [String] = []
        let place = position.map { Place(text: text, position: $0) }
        if let place { lines.append("\(source):\(place.line):\(place.column)") } else { lines.append(source) }
        lines.append("ERROR:  \(message)")
        if let place {
            let label = "LINE \(place.line): "
            lines.append(label + place.excerpt)
            lines.append(String(repeating: " ", count: label.count + place.caret) + "^")
        }
        if let detail { lines.append("DETAIL:  \(detail)") }
        if let hint { lines.append("HINT:  \(hint)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Where a character stands, and the part of its line to show.
    private struct Place {
        /// 1-based; columns count characters.
        var line = 1
        var column = 1
        var excerpt: String
        /// Characters of the excerpt before the place.
        var caret: Int

        /// Characters shown at most, as in psql.
        private static let widthMax = 60

        init(text: String, position: Int) {
            var start = text.unicodeScalars.startIndex
            var index = start
            var remaining = position - 1
            while remaining > 0, index < text.unicodeScalars.endIndex {
                let scalar = text.unicodeScalars[index]
                index = text.unicodeScalars.index(after: index)
                remaining -= 1
                column += 1
                if scalar == "\n" {
                    line += 1
                    column = 1
                    start = index
                }
            }
            let before = Array(text.unicodeScalars[start..<index])
            let after = Array(text.unicodeScalars[index...].prefix(Self.widthMax * 2).prefix { $0 != "\n" && $0 != "\r" })
            var shown = before + after
            var caret = before.count
            if caret > Self.widthMax * 2 {
                let cut = caret - Self.widthMax
                shown = Array("...".unicodeScalars) + shown[cut...]
                caret = Self.widthMax + 3
            }
            let limit = max(caret + Self.widthMax, 2 * Self.widthMax)
            let isCut = shown.count > limit
            var excerpt = ""
            for scalar in shown.prefix(limit) {
                // A tab or another control character would move the caret.
                excerpt.unicodeScalars.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
            }
            self.excerpt = isCut ? excerpt + "..." : excerpt
            self.caret = caret
        }
    }
}

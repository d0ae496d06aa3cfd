import Glibc
import MartletCore
import MartletPostgres

/// Rows as a person or a program wants them.
struct ResultPrinter {
    enum Format: String, CaseIterable { case table, csv, json }

    var format = Format.table
    /// One line per column instead of one per row.
    var isExpanded = false
    /// A table is drawn when its rows are known, in pieces of so many.
    static let tableRowsMax = 10_000

    private var columns: [ReceivedColumn] = []
    private var rows: [[String?]] = []
    private var count = 0
    private var hasDrawn = false

    mutating func begin(_ columns: [ReceivedColumn]) {
        self.columns = columns
        rows = []
        count = 0
        hasDrawn = false
        if format == .csv { writeAll(columns.map { ResultPrinter.csv($0.name) }.joined(separator: ",") + "\n", to: STDOUT_FILENO) }
    }

    mutating func row(_ cells: [[UInt8]?]) {
        count += 1
        let texts = cells.map { $0.map { String(decoding: $0, as: UTF8.self) } }
        switch format {
        case .csv: writeAll(texts.map { $0.map(ResultPrinter.csv) ?? "" }.joined(separator: ",") + "\n", to: STDOUT_FILENO)
        case .json: writeAll(json(texts) + "\n", to: STDOUT_FILENO)
        case .table:
            rows.append(texts)
            if rows.count >= ResultPrinter.tableRowsMax { draw() }
        }
    }

    mutating func end() {
        guard format == .table else { return }
        if !rows.isEmpty || !hasDrawn { draw() }
        if !isExpanded { printOut("(\(count) \(count == 1 ? "row" : "rows"))\n") }
    }

    private mutating func draw() {
        printOut(isExpanded ? expanded() : table())
        hasDrawn = true
        rows = []
    }

    // MARK: Forms

    private static func csv(_ text: String) -> String {
        guard text.isEmpty || text.utf8.contains(where: { "\",\r\n".utf8.contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func json(_ cells: [String?]) -> String {
        let members = zip(columns, cells).map { column, cell in
            "\(JSONText.quoted(column.name)): \(JSONText.value(cell, type: column.type))"
        }
        return "{" + members.joined(separator: ", ") + "}"
    }

    private var isNumber: [Bool] { columns.map { [20, 21, 23, 26, 700, 701, 1700].contains($0.type) } }

    private func table() -> String {
        var widths = columns.map { ResultPrinter.width($0.name) }
        for row in rows {
            for (index, cell) in row.enumerated() where index < widths.count {
                for line in ResultPrinter.lines(cell) { widths[index] = max(widths[index], ResultPrinter.width(line)) }
            }
        }
        let isNumber = isNumber
        var output: [String] = []
        if !hasDrawn {
            output.append(zip(columns, widths).map { column, width in " " + ResultPrinter.centred(column.name, width) + " " }.joined(separator: "|"))
            output.append(widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+"))
        }
        for row in rows {
            let cells = row.map(ResultPrinter.lines)
            for line in 0..<(cells.map(\.count).max() ?? 1) {
                output.append(
                    cells.enumerated().map { index, lines in
                        let text = line < lines.count ? lines[line] : ""
                        let blanks = String(repeating: " ", count: max(0, widths[index] - ResultPrinter.width(text)))
                        let isContinued = line + 1 < lines.count
                        return " " + (isNumber[index] ? blanks + text : text + blanks) + (isContinued ? "+" : " ")
                    }.joined(separator: "|"))
            }
        }
        return output.map(ResultPrinter.trimmed).joined(separator: "\n")
    }

    private func expanded() -> String {
        let width = columns.map { ResultPrinter.width($0.name) }.max() ?? 0
        var output: [String] = []
        let first = count - rows.count + 1
        for (index, row) in rows.enumerated() {
            output.append("-[ RECORD \(first + index) ]" + String(repeating: "-", count: max(1, width - 6)))
            for (column, cell) in zip(columns, row) {
                let blanks = String(repeating: " ", count: width - ResultPrinter.width(column.name))
                output.append(ResultPrinter.trimmed("\(column.name)\(blanks) | \(cell ?? "")"))
            }
        }
        return output.isEmpty ? "(0 rows)" : output.joined(separator: "\n") + "\n"
    }

    private static func lines(_ cell: String?) -> [String] {
        guard let cell else { return [""] }
        return cell.utf8.contains(10) ? cell.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) : [cell]
    }

    private static func width(_ text: String) -> Int { text.count }

    private static func centred(_ text: String, _ width: Int) -> String {
        let blanks = max(0, width - self.width(text))
        return String(repeating: " ", count: blanks / 2) + text + String(repeating: " ", count: blanks - blanks / 2)
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }
}

import Glibc
import MartletCore
import MartletKafka
import MartletLog

/// Rows under headings, as a table for people, or as JSON or CSV for programs.
struct Listing {
    enum Format: String { case table, json, csv }

    enum Cell {
        case text(String)
        case number(Int64)
        case flag(Bool)
        case missing

        var text: String {
            switch self {
            case .text(let text): text
            case .number(let number): "\(number)"
            case .flag(let flag): flag ? "yes" : "no"
            case .missing: ""
            }
        }
    }

    var columns: [String]
    var rows: [[Cell]] = []

    init(_ columns: String...) { self.columns = columns }

    func print(_ format: Format) {
        switch format {
        case .table: printTable()
        case .json:
            for row in rows { printOut(Listing.json(Array(zip(columns, row)))) }
        case .csv:
            printOut(columns.map(Listing.quoted).joined(separator: ","))
            for row in rows { printOut(row.map { Listing.quoted($0.text) }.joined(separator: ",")) }
        }
    }

    private func printTable() {
        var widths = columns.map(\.count)
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.text.count) }
        }
        let line = { (texts: [(String, Bool)]) in
            var text = texts.enumerated().map { index, cell in
                let blanks = String(repeating: " ", count: max(0, widths[index] - cell.0.count))
                return cell.1 ? blanks + cell.0 : cell.0 + blanks
            }.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            printOut(text)
        }
        line(columns.enumerated().map { index, name in (name.uppercased(), isNumeric(index)) })
        for row in rows { line(row.enumerated().map { index, cell in (cell.text, isNumeric(index)) }) }
    }

    private func isNumeric(_ column: Int) -> Bool {
        !rows.isEmpty && rows.allSatisfy { if case .number = $0[column] { true } else { false } }
    }

    static func json(_ members: [(String, Cell)]) -> String {
        let sink = ByteSink()
        sink.append("{")
        for (index, (name, cell)) in members.enumerated() {
            if index > 0 { sink.append(",") }
            sink.append(jsonString: name)
            sink.append(":")
            switch cell {
            case .text(let text): sink.append(jsonString: text)
            case .number(let number): sink.append(decimal: number)
            case .flag(let flag): sink.append(text: flag ? "true" : "false")
            case .missing: sink.append("null")
            }
        }
        sink.append("}")
        return sink.text
    }

    /// RFC 4180.
    static func quoted(_ text: String) -> String {
        let needsQuotes = text.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
        return needsQuotes ? "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : text
    }
}

/// `martlet topic list` and `martlet topic describe`.
enum TopicListing {
    static func list(_ arguments: Arguments) throws -> Int32 {
        guard arguments.positional.isEmpty else { throw UsageError("list takes no topic; describe does") }
        let client = try TopicClient(try TopicCommand.server(arguments))
        var listing = Listing("topic", "partitions", "id", "internal")
        for topic in try client.topics(nil).sorted(by: { ($0.name ?? "") < ($1.name ?? "") }) {
            if topic.isInternal, !arguments.has("internal") { continue }
            listing.rows.append([
                .text(topic.name ?? ""), .number(Int64(topic.partitions.count)),
                topic.topicId == .zero ? .missing : .text(topic.topicId.hexadecimal), .flag(topic.isInternal),
            ])
        }
        listing.print(try TopicCommand.format(arguments))
        return ExitCode.done
    }

    /// Partitions with their offsets and sizes; then what is set, or with --all every setting.
    static func describe(_ arguments: Arguments) throws -> Int32 {
        let client = try TopicClient(try TopicCommand.server(arguments))
        let format = try TopicCommand.format(arguments)
        let names = arguments.positional
        let topics = try client.topics(names.isEmpty ? nil : names)
        var partitions = Listing("topic", "partition", "leader", "start", "end", "records", "bytes")
        var settings = Listing("topic", "setting", "value", "source")
        for topic in topics.sorted(by: { ($0.name ?? "") < ($1.name ?? "") }) {
            guard topic.errorCode == 0 else { throw TopicError("topic \"\(topic.name ?? "")\"", topic.errorCode) }
            let name = topic.name ?? ""
            let numbers = topic.partitions.map(\.partitionIndex)
            let starts = try client.offsets(topic, Dictionary(numbers.map { ($0, -2) }, uniquingKeysWith: { $1 }))
            let ends = try client.offsets(topic, Dictionary(numbers.map { ($0, -1) }, uniquingKeysWith: { $1 }))
            let sizes = try sizes(client, topic)
            for part in topic.partitions.sorted(by: { $0.partitionIndex < $1.partitionIndex }) {
                let start = starts[part.partitionIndex] ?? 0
                let end = ends[part.partitionIndex] ?? 0
                partitions.rows.append([
                    .text(name), .number(Int64(part.partitionIndex)), .number(Int64(part.leaderId)), .number(start), .number(end),
                    .number(end - start), sizes[part.partitionIndex].map { .number($0) } ?? .missing,
                ])
            }
            settings.rows += try described(client, name, all: arguments.has("all"))
        }
        partitions.print(format)
        if !settings.rows.isEmpty {
            if format == .table || format == .csv { printOut("") }
            settings.print(format)
        }
        return ExitCode.done
    }

    private static func sizes(_ client: TopicClient, _ topic: MetadataResponse.MetadataResponseTopic) throws -> [Int32: Int64] {
        let response: DescribeLogDirsResponse = try client.ask(.describeLogDirs) { _ in
            DescribeLogDirsRequest(topics: [
                DescribeLogDirsRequest.DescribableLogDirTopic(topic: topic.name ?? "", partitions: topic.partitions.map(\.partitionIndex))
            ])
        }
        var sizes: [Int32: Int64] = [:]
        for part in response.results.flatMap(\.topics).flatMap(\.partitions) { sizes[part.partitionIndex] = part.partitionSize }
        return sizes
    }

    private static func described(_ client: TopicClient, _ name: String, all: Bool) throws -> [[Listing.Cell]] {
        let response: DescribeConfigsResponse = try client.ask(.describeConfigs) { _ in
            DescribeConfigsRequest(resources: [
                DescribeConfigsRequest.DescribeConfigsResource(resourceType: 2, resourceName: name, configurationKeys: nil)
            ])
        }
        guard let result = response.results.first else { return [] }
        guard result.errorCode == 0 else { throw TopicError("settings of \"\(name)\"", result.errorCode, result.errorMessage) }
        let sources: [Int8: String] = [1: "topic", 2: "server", 3: "cluster", 4: "server", 5: "default"]
        return result.configs.filter { all || $0.configSource != 5 }.map { entry in
            [.text(name), .text(entry.name), .text(entry.value ?? ""), .text(sources[entry.configSource] ?? "\(entry.configSource)")]
        }
    }
}

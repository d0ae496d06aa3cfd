internal import Glibc
package import MartletCore
package import MartletEngine
internal import MartletColumns
package import MartletLog
internal import MartletPlatform
package import MartletSQL

/// The connectors of this machine: files, standard input and output, generators, topics of its own log, the black hole.
package final class LocalConnectors: ConnectorProvider {
    private let outDirectory: String
    let clock: any Clock
    /// Where files of sinks are.
    private let disk: any Disk
    /// The deployment's own log, whose topics `connector = 'kafka'` means; nil: there is none.
    let log: Log?
    /// Partitions of a topic that is created because a source or a sink names it.
    let topicPartitions: Int32
    /// Sources end with what there is when they are opened, as a query needs it: nothing is followed.
    let readsToNow: Bool
    /// Sinks wait for servers that are away from the beginning.
    let isPatient: Bool
    /// The topics that sources read.
    package let interest = TopicInterest()
    private var readsStandardInput = false

    package init(
        outDirectory: String, clock: any Clock, log: Log? = nil, topicPartitions: Int32 = 4, disk: (any Disk)? = nil,
        readsToNow: Bool = false, isPatient: Bool = false
    ) {
        self.isPatient = isPatient
        self.readsToNow = readsToNow
        self.disk = disk ?? SystemDisk()
        self.outDirectory = outDirectory
        self.clock = clock
        self.log = log
        self.topicPartitions = topicPartitions
    }

    // MARK: Sources

    package func openSource(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int]
    ) throws(SQLError) -> [any SourcePartition] {
        switch definition.connector {
        case "file": return try openFiles(definition, ordinal: ordinal, columns: columns)
        case "generator": return try openGenerator(definition, ordinal: ordinal, columns: columns)
        case "datagen": return try openDatagen(definition, ordinal: ordinal, columns: columns)
        case "kafka": return try openTopic(definition, ordinal: ordinal, columns: columns)
        default:
            throw SQLError(
                .featureNotSupported, "source \"\(definition.name)\": connector \"\(definition.connector)\" cannot be read from",
                hint: "Connectors for sources: file, generator, datagen, kafka.")
        }
    }

    package func openMore(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int], known: Int
    ) throws(SQLError) -> [any SourcePartition] {
        definition.connector == "kafka" ? try openMoreOfTopic(definition, ordinal: ordinal, columns: columns, known: known) : []
    }

    package func beginsAtTheEnd(_ definition: SourceDefinition) -> Bool {
        definition.connector == "kafka" && definition.options["scan.startup.mode"]?.text.lowercased() == "latest"
    }

    private func openFiles(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int]
    ) throws(SQLError) -> [any SourcePartition] {
        let options = ConnectorOptions(definition.options, of: "source \"\(definition.name)\"", connector: "file")
        try options.allow(["path", "follow"])
        let path = try options.required("path")
        let follows = try (options.boolean("follow") ?? false) && !readsToNow
        if path == "-" {
            guard !readsStandardInput else {
                throw SQLError(.objectInUse, "source \"\(definition.name)\": standard input is already read by another source")
            }
            readsStandardInput = true
        }
        let paths = path == "-" ? ["-"] : try Glob.expand(path, source: definition.name)
        var partitions: [any SourcePartition] = []
        for (partition, path) in paths.enumerated() {
            partitions.append(
                try FilePartition(
                    path, definition: definition, ordinal: ordinal, partition: partition, columns: columns,
                    follows: follows, clock: clock))
        }
        return partitions
    }

    private func openGenerator(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int]
    ) throws(SQLError) -> [any SourcePartition] {
        let options = ConnectorOptions(definition.options, of: "source \"\(definition.name)\"", connector: "generator")
        try options.allow(["kind", "stream", "partitions"] + GeneratorOptions.names)
        let generator: any EventGenerator
        let kind = try options.required("kind")
        do throws(GeneratorError) {
            var settings = try GeneratorOptions(kind: kind)
            for name in GeneratorOptions.names {
                if let text = options.text(name) { try settings.set(name, to: text) }
            }
            generator = try Generators.make(settings)
        } catch {
            throw SQLError(.invalidParameterValue, "source \"\(definition.name)\": \(error)")
        }
        let name = options.text("stream") ?? generator.streams[0]
        guard let stream = generator.streams.firstIndex(of: name) else {
            throw SQLError(
                .invalidParameterValue, "source \"\(definition.name)\": generator has no stream \"\(name)\"",
                hint: "Its streams: \(generator.streams.joined(separator: ", ")).", position: options.position("stream"))
        }
        let count = try options.integer("partitions", in: 1...256) ?? 1
        var partitions: [any SourcePartition] = []
        for partition in 0..<count {
            partitions.append(
                try GeneratorPartition(
                    generator, stream: stream, partition: partition, of: count, definition: definition, ordinal: ordinal,
                    columns: columns, clock: clock, place: "\(kind) generator"))
        }
        return partitions
    }

    private func openDatagen(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int]
    ) throws(SQLError) -> [any SourcePartition] {
        let lines = try Datagen(definition)
        if readsToNow, lines.count(of: 0) == nil {
            throw SQLError(
                .featureNotSupported, "source \"\(definition.name)\" has no end to read to", hint: "Read a materialized view of it.")
        }
        let options = ConnectorOptions(definition.options, of: "source \"\(definition.name)\"", connector: "datagen")
        let count = try options.integer("datagen.split.num", in: 1...256) ?? 1
        var partitions: [any SourcePartition] = []
        for partition in 0..<count {
            partitions.append(
                try GeneratorPartition(
                    lines, stream: 0, partition: partition, of: count, definition: definition, ordinal: ordinal, columns: columns, clock: clock,
                    place: "datagen", rate: readsToNow ? nil : UInt64(lines.rate)))
        }
        return partitions
    }

    // MARK: Sinks

    package func openSink(
        _ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool
    ) throws(SQLError) -> any SinkTarget {
        let subject = "sink \"\(definition.name)\""
        let options = ConnectorOptions(definition.options, of: subject, connector: definition.connector)
        var format = RowFormat(
            encoding: .json, names: definition.fields.map(\.name), types: fields.map(\.type), showsOperation: !isAppendOnly)
        switch definition.encode.encoding {
        case .json: break
        case .csv:
            format.encoding = .csv
            format.delimiter = definition.encode.delimiter
            format.hasHeader = definition.encode.hasHeader
        case .bytes, .avro, .protobuf:
            throw SQLError(
                .featureNotSupported,
                "\(subject): ENCODE \(definition.encode.encoding.rawValue.uppercased()) is not supported yet",
                hint: "Use ENCODE JSON or CSV.")
        }
        guard definition.format == .plain || ["kafka", "postgres"].contains(definition.connector) else {
            throw SQLError(
                .featureNotSupported, "\(subject): FORMAT \(definition.format.rawValue.uppercased()) is for topics",
                hint: "FORMAT PLAIN writes \"op\": insert or delete with each row of a view that changes.")
        }
        switch definition.connector {
        case "postgres": return try openPostgresSink(definition, isAppendOnly: isAppendOnly)
        case "blackhole":
            try options.allow([])
            return BlackholeTarget(definition.name)
        case "stdout":
            try options.allow([])
            return StandardOutputTarget(definition.name, format)
        case "file":
            try options.allow(["path"])
            let path = try options.required("path")
            if path == "-" { return StandardOutputTarget(definition.name, format) }
            // With a log the driver says where they go on.
            if path.hasSuffix("/") {
                let target = DirectoryTarget(definition.name, directory: path, format, clock: clock, disk: disk)
                if log == nil { try target.begin() }
                return target
            }
            return log == nil
                ? try FileTarget(beginning: path, of: definition.name, format, disk: disk)
                : FileTarget(definition.name, path: path, format, disk: disk)
        case "kafka": return try openTopicSink(definition, format, isAppendOnly: isAppendOnly)
        default:
            throw SQLError(
                .featureNotSupported, "\(subject): connector \"\(definition.connector)\" cannot be written to",
                hint: "Connectors for sinks: file, stdout, blackhole, kafka, postgres.")
        }
    }

    /// What a sink's readers may rely on when the run has a log.
    package static func guarantee(of definition: SinkDefinition) -> DeliveryGuarantee {
        switch definition.connector {
        case "kafka", "postgres": .transactional
        case "file": definition.options["path"]?.text == "-" ? .atLeastOnce : .transactional
        default: .atLeastOnce
        }
    }

    package func openRelation(_ relation: SideRelation) throws(SQLError) -> any SinkTarget {
        let format = RowFormat(
            encoding: .json, names: relation.fields.map(\.name), types: relation.fields.map(\.type), showsOperation: false)
        if let log { return try openRelationTopic(relation, format, of: log) }
        return try RelationTarget(relation.name, directory: outDirectory, format)
    }
}

/// The WITH options of one object, read with errors that point at them.
struct ConnectorOptions {
    private let options: [String: OptionValue]
    private let subject: String
    private let connector: String

    init(_ options: [String: OptionValue], of subject: String, connector: String) {
        self.options = options
        self.subject = subject
        self.connector = connector
    }

    func text(_ name: String) -> String? { options[name]?.text }
    func position(_ name: String) -> Int? { options[name]?.position }

    /// Refuses options that the connector does not have.
    func allow(_ names: [String]) throws(SQLError) {
        for (name, value) in options.sorted(by: { $0.value.namePosition < $1.value.namePosition })
        where !names.contains(name) {
            throw SQLError(
                .invalidParameterValue, "\(subject): connector \"\(connector)\" has no option \"\(name)\"",
                hint: names.isEmpty ? nil : "Its options: \(names.joined(separator: ", ")).", position: value.namePosition)
        }
    }

    func required(_ name: String) throws(SQLError) -> String {
        guard let value = options[name], !value.text.isEmpty else {
            throw SQLError(
                .invalidParameterValue, "\(subject): connector \"\(connector)\" needs the option \"\(name)\"",
                position: options[name]?.position)
        }
        return value.text
    }

    func boolean(_ name: String) throws(SQLError) -> Bool? {
        guard let value = options[name] else { return nil }
        switch value.text.lowercased() {
        case "true", "on", "yes", "1": return true
        case "false", "off", "no", "0": return false
        default:
            throw SQLError(
                .invalidParameterValue, "\(subject): option \"\(name)\" takes true or false, not \"\(value.text)\"",
                position: value.position)
        }
    }

    /// One of `choices`, or nil without the option.
    func choice(_ name: String, _ choices: [String]) throws(SQLError) -> String? {
        guard let value = options[name] else { return nil }
        guard choices.contains(value.text.lowercased()) else {
            throw SQLError(
                .invalidParameterValue, "\(subject): option \"\(name)\" cannot be \"\(value.text)\"",
                hint: "It is one of \(choices.joined(separator: ", ")).", position: value.position)
        }
        return value.text.lowercased()
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(SQLError) -> Int? {
        guard let value = options[name] else { return nil }
        guard let number = Int(value.text), range.contains(number) else {
            throw SQLError(
                .invalidParameterValue,
                "\(subject): option \"\(name)\" takes a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(value.text)\"",
                position: value.position)
        }
        return number
    }
}

/// File names by pattern, as the shell has them.
enum Glob {
    /// The files that `pattern` names, in byte order. A pattern without special characters names itself.
    static func expand(_ pattern: String, source: String) throws(SQLError) -> [String] {
        guard pattern.utf8.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") })
        else { return [pattern] }
        var found = glob_t()
        defer { globfree(&found) }
        guard !pattern.utf8.contains(0), glob(pattern, 0, nil, &found) == 0, found.gl_pathc > 0 else {
            throw SQLError(.undefinedFile, "source \"\(source)\": no file matches \"\(pattern)\"")
        }
        var paths: [String] = []
        for index in 0..<Int(found.gl_pathc) {
            if let path = found.gl_pathv[index] { paths.append(String(cString: path)) }
        }
        return paths.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }
}

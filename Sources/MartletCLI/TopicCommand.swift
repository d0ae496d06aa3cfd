import MartletKafka
import MartletLog
import MartletPlatform

/// `martlet topic …`: topics of a running server, over Kafka's protocol.
enum TopicCommand {
    static let help = """
        Usage: martlet topic ACTION [ARGUMENTS] [--server ADDR:PORT]

        Works with any Kafka server; by default with the one on 127.0.0.1:9092.

        Actions:
          create NAME...          --partitions N (default: the server's), --config NAME=VALUE, --if-not-exists
          list                    --internal shows internal topics too
          describe [NAME...]      partitions, offsets, sizes and settings; --all shows settings at their defaults too
          alter NAME              --partitions N (only more), --config NAME=VALUE, --reset NAME (back to the default)
          delete NAME...          --if-exists
          produce NAME [FILE]     a record for each line of FILE, or of standard input
          consume NAME            writes records to standard output, up to the end as it is now

        Options of produce:
          --format lines|ndjson   ndjson: {"key":…,"value":…,"headers":{…},"timestamp":ms,"partition":n}, value: string,
                                  null, or anything else as JSON (default lines)
          --key-separator TEXT    with lines: what comes before it is the key
          --header NAME=VALUE     on every record; may be repeated
          --partition N           every record to this one (default: by the key's hash, without key in turn)
          --compression CODEC     none (default), gzip, snappy, lz4 or zstd

        Options of consume:
          --partition N           only this one; may be repeated
          --from WHERE            beginning (default), end, an offset, -N (the last N), or a time such as
                                  2026-01-01T00:00:00Z, of each partition
          --max N                 stop after N records
          --follow                go on after the end, until stopped
          --uncommitted           show records of open and of aborted transactions too
          --keys, --headers, --timestamps, --offsets, --partitions
                                  show these before the value, separated by tabs

        create, alter, delete and produce print nothing when they succeed. Others: -o table|json|csv (consume: plain values
        by default).
        """

    private static let options: [String: (options: Set<String>, flags: Set<String>)] = [
        "create": (["partitions", "config"], ["if-not-exists"]),
        "list": (["output"], ["internal"]),
        "describe": (["output"], ["all"]),
        "alter": (["partitions", "config", "reset"], []),
        "delete": ([], ["if-exists"]),
        "produce": (["format", "key-separator", "header", "partition", "compression"], []),
        "consume": (
            ["partition", "from", "max", "output"],
            ["follow", "uncommitted", "keys", "headers", "timestamps", "offsets", "partitions"]
        ),
    ]

    static func run(_ words: [String]) throws -> Int32 {
        guard let action = words.first else {
            throw UsageError("needs an action: create, list, describe, alter, delete, produce or consume")
        }
        guard let known = options[action] else {
            let near = nearest(action, among: options.keys.sorted())
            throw UsageError("has no action \"\(action)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        let arguments = try Arguments(
            Array(words.dropFirst()), command: "topic", options: known.options.union(["server"]), flags: known.flags,
            short: ["o": "output"])
        switch action {
        case "create": return try create(arguments)
        case "list": return try TopicListing.list(arguments)
        case "describe": return try TopicListing.describe(arguments)
        case "alter": return try alter(arguments)
        case "delete": return try delete(arguments)
        case "produce": return try TopicProduce.run(arguments)
        default: return try TopicConsume.run(arguments)
        }
    }

    static func server(_ arguments: Arguments) throws(UsageError) -> ListenAddress {
        do throws(ListenError) {
            return try ListenAddress(parsing: arguments.value("server") ?? "127.0.0.1:9092")
        } catch {
            throw UsageError("--server: \(error.message)")
        }
    }

    static func format(_ arguments: Arguments) throws(UsageError) -> Listing.Format {
        guard let name = arguments.value("output") else { return .table }
        guard let format = Listing.Format(rawValue: name) else { throw UsageError("-o takes table, json or csv, not \"\(name)\"") }
        return format
    }

    /// `NAME=VALUE`, as often as given.
    static func assignments(_ arguments: Arguments, _ option: String) throws(UsageError) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        for text in arguments.all(option) {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw UsageError("--\(option) takes NAME=VALUE, not \"\(text)\"")
            }
            found.append((String(text[..<equals]), String(text[text.index(after: equals)...])))
        }
        return found
    }

    private static func create(_ arguments: Arguments) throws -> Int32 {
        guard !arguments.positional.isEmpty else { throw UsageError("create needs the name of a topic") }
        let partitions = try arguments.integer("partitions", in: 1...100_000) ?? -1
        let configs = try assignments(arguments, "config")
        let client = try TopicClient(try server(arguments))
        let response: CreateTopicsResponse = try client.ask(.createTopics) { _ in
            CreateTopicsRequest(
                topics: arguments.positional.map { name in
                    CreateTopicsRequest.CreatableTopic(
                        name: name, numPartitions: Int32(partitions), replicationFactor: -1,
                        configs: configs.map { CreateTopicsRequest.CreatableTopicConfig(name: $0.name, value: $0.value) })
                })
        }
        var outcome = ExitCode.done
        for topic in response.topics where topic.errorCode != 0 {
            if topic.errorCode == ErrorCode.topicAlreadyExists.rawValue, arguments.has("if-not-exists") { continue }
            printError("martlet topic: \(TopicError("topic \"\(topic.name)\"", topic.errorCode, topic.errorMessage))")
            outcome = ExitCode.failure
        }
        return outcome
    }

    private static func alter(_ arguments: Arguments) throws -> Int32 {
        guard arguments.positional.count == 1 else { throw UsageError("alter takes one topic") }
        let name = arguments.positional[0]
        let partitions = try arguments.integer("partitions", in: 1...100_000)
        let configs = try assignments(arguments, "config")
        let resets = arguments.all("reset")
        guard partitions != nil || !configs.isEmpty || !resets.isEmpty else {
            throw UsageError("alter changes nothing: say --partitions, --config or --reset")
        }
        let client = try TopicClient(try server(arguments))
        if !configs.isEmpty || !resets.isEmpty {
            let response: IncrementalAlterConfigsResponse = try client.ask(.incrementalAlterConfigs) { _ in
                let sets = configs.map {
                    IncrementalAlterConfigsRequest.AlterableConfig(name: $0.name, configOperation: 0, value: $0.value)
                }
                let deletes = resets.map { IncrementalAlterConfigsRequest.AlterableConfig(name: $0, configOperation: 1, value: nil) }
                return IncrementalAlterConfigsRequest(resources: [
                    IncrementalAlterConfigsRequest.AlterConfigsResource(resourceType: 2, resourceName: name, configs: sets + deletes)
                ])
            }
            for result in response.responses where result.errorCode != 0 {
                throw TopicError("topic \"\(name)\"", result.errorCode, result.errorMessage)
            }
        }
        if let partitions {
            let response: CreatePartitionsResponse = try client.ask(.createPartitions) { _ in
                CreatePartitionsRequest(
                    topics: [CreatePartitionsRequest.CreatePartitionsTopic(name: name, count: Int32(partitions), assignments: nil)],
                    timeoutMs: 30_000)
            }
            for result in response.results where result.errorCode != 0 {
                throw TopicError("topic \"\(name)\"", result.errorCode, result.errorMessage)
            }
        }
        return ExitCode.done
    }

    private static func delete(_ arguments: Arguments) throws -> Int32 {
        guard !arguments.positional.isEmpty else { throw UsageError("delete needs the name of a topic") }
        let client = try TopicClient(try server(arguments))
        let response: DeleteTopicsResponse = try client.ask(.deleteTopics) { version in
            var request = DeleteTopicsRequest(timeoutMs: 30_000)
            if version >= 6 {
                request.topics = arguments.positional.map { DeleteTopicsRequest.DeleteTopicState(name: $0) }
            } else {
                request.topicNames = arguments.positional
            }
            return request
        }
        var outcome = ExitCode.done
        for topic in response.responses where topic.errorCode != 0 {
            if topic.errorCode == ErrorCode.unknownTopicOrPartition.rawValue, arguments.has("if-exists") { continue }
            printError("martlet topic: \(TopicError("topic \"\(topic.name ?? "")\"", topic.errorCode, topic.errorMessage))")
            outcome = ExitCode.failure
        }
        return outcome
    }
}

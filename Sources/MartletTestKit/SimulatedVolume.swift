internal import MartletCore

let errnoBroken: Int32 = 5
let errnoBadDescriptor: Int32 = 9
let errnoOutOfSpace: Int32 = 28
private let errnoMissing: Int32 = 2
private let errnoExists: Int32 = 17
private let errnoNotDirectory: Int32 = 20
private let errnoIsDirectory: Int32 = 21
private let errnoNotEmpty: Int32 = 39

/// What a simulated disk holds: files with what they show now, what is durable and what happened in between, and names
/// likewise. Nodes are never reused, so a number identifies a file for good.
struct SimulatedVolume: Sendable {
    /// A step of a file's content since its last sync.
    enum Change: Sendable {
        case write(offset: Int, bytes: [UInt8])
        case truncate(size: Int)

        func apply(to content: inout [UInt8]) {
            switch self {
            case .write(let offset, let bytes):
                let end = offset + bytes.count
                if content.count < end { content.append(contentsOf: repeatElement(0, count: end - content.count)) }
                content.replaceSubrange(offset..<end, with: bytes)
            case .truncate(let size):
                if size < content.count {
                    content.removeLast(content.count - size)
                } else {
                    content.append(contentsOf: repeatElement(0, count: size - content.count))
                }
            }
        }
    }

    struct Node: Sendable {
        var isDirectory: Bool
        var current: [UInt8] = []
        var durable: [UInt8] = []
        var changes: [Change] = []
        var modifiedCall = 0
    }

    struct Name: Hashable, Comparable, Sendable {
        var directory: Int
        var name: String

        static func < (left: Name, right: Name) -> Bool {
            left.directory != right.directory
                ? left.directory < right.directory : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
    }

    /// A step of the names since the last sync of (one of) their directories.
    enum NameChange: Sendable {
        case set(Name, Int)
        case remove(Name, Int)
        case move(Name, Name, Int)

        func apply(to names: inout [Name: Int]) {
            switch self {
            case .set(let name, let node): names[name] = node
            case .remove(let name, let node): if names[name] == node { names[name] = nil }
            case .move(let name, let target, let node):
                if names[name] == node { names[name] = nil }
                names[target] = node
            }
        }

        func touches(_ directory: Int) -> Bool {
            switch self {
            case .set(let name, _), .remove(let name, _): name.directory == directory
            case .move(let name, let target, _): name.directory == directory || target.directory == directory
            }
        }
    }

    static let sectorBytes = 512

    var nodes: [Int: Node] = [0: Node(isDirectory: true)]
    var names: [Name: Int] = [:]
    var durableNames: [Name: Int] = [:]
    var nameChanges: [NameChange] = []
    var nextNode = 1
    /// How many crashes there were.
    var epoch = 0

    var callCount = 0
    var faults: [Int: DiskFault] = [:]
    var faultShare = 0.0
    var capacityBytes: Int?
    private var generator: SplitMix64

    init(seed: UInt64) { generator = SplitMix64(seed: seed) }

    /// Counts a call and says whether it goes wrong.
    mutating func nextFault() -> DiskFault? {
        callCount += 1
        if let fault = faults.removeValue(forKey: callCount) { return fault }
        guard faultShare > 0, generator.chance(faultShare) else { return nil }
        let choices: [DiskFault] = [.broken, .outOfSpace, .short]
        return choices[generator.below(choices.count)]
    }

    // MARK: Names

    /// The node at a path; nil if there is none.
    func find(_ path: String) -> Int? {
        var node = 0
        for part in path.split(separator: "/") where part != "." {
            guard let next = names[Name(directory: node, name: String(part))] else { return nil }
            node = next
        }
        return node
    }

    private func place(_ path: String, _ operation: String) throws(IOError) -> Name {
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard let last = parts.last else { throw IOError(operation, path: path, errno: errnoExists) }
        guard let directory = find(parts.dropLast().joined(separator: "/")) else {
            throw IOError(operation, path: path, errno: errnoMissing)
        }
        guard nodes[directory]!.isDirectory else { throw IOError(operation, path: path, errno: errnoNotDirectory) }
        return Name(directory: directory, name: String(last))
    }

    private mutating func change(_ change: NameChange) {
        change.apply(to: &names)
        nameChanges.append(change)
    }

    private mutating func create(_ path: String, isDirectory: Bool) throws(IOError) -> Int {
        let name = try place(path, "create")
        let node = nextNode
        nextNode += 1
        nodes[node] = Node(isDirectory: isDirectory, modifiedCall: callCount)
        change(.set(name, node))
        return node
    }

    mutating func open(_ path: String, _ mode: OpenMode) throws(IOError) -> Int {
        if let node = find(path) {
            if mode == .createNew { throw IOError("open", path: path, errno: errnoExists) }
            let isDirectory = nodes[node]!.isDirectory
            if isDirectory != (mode == .directory) {
                throw IOError("open", path: path, errno: isDirectory ? errnoIsDirectory : errnoNotDirectory)
            }
            if mode == .replace { truncate(node, to: 0) }
            return node
        }
        switch mode {
        case .read, .update, .directory: throw IOError("open", path: path, errno: errnoMissing)
        case .createOrUpdate, .replace, .createNew: return try create(path, isDirectory: false)
        }
    }

    func facts(of node: Int) -> FileFacts {
        let file = nodes[node]!
        return FileFacts(
            kind: file.isDirectory ? .directory : .file, size: Int64(file.current.count), identity: UInt64(node),
            modifiedMicros: Int64(file.modifiedCall))
    }

    func list(_ directory: String) throws(IOError) -> [String] {
        guard let node = find(directory) else { throw IOError("list", path: directory, errno: errnoMissing) }
        guard nodes[node]!.isDirectory else { throw IOError("list", path: directory, errno: errnoNotDirectory) }
        return names.keys.filter { $0.directory == node }.sorted().map(\.name)
    }

    mutating func makeDirectory(_ path: String) throws(IOError) {
        if let node = find(path) {
            if nodes[node]!.isDirectory { return }
            throw IOError("create directory", path: path, errno: errnoExists)
        }
        _ = try create(path, isDirectory: true)
    }

    mutating func rename(_ path: String, to target: String) throws(IOError) {
        let from = try place(path, "rename")
        let to = try place(target, "rename")
        guard let node = names[from] else { throw IOError("rename", path: path, errno: errnoMissing) }
        if let replaced = names[to], nodes[replaced]!.isDirectory != nodes[node]!.isDirectory {
            throw IOError("rename", path: target, errno: nodes[replaced]!.isDirectory ? errnoIsDirectory : errnoNotDirectory)
        }
        if from != to { change(.move(from, to, node)) }
    }

    mutating func remove(_ path: String) throws(IOError) {
        let name = try place(path, "remove")
        guard let node = names[name] else { throw IOError("remove", path: path, errno: errnoMissing) }
        if names.keys.contains(where: { $0.directory == node }) {
            throw IOError("remove", path: path, errno: errnoNotEmpty)
        }
        change(.remove(name, node))
    }

    // MARK: Content

    func read(_ node: Int, at offset: Int64, count: Int) -> [UInt8] {
        let content = nodes[node]!.current
        guard offset >= 0 && offset < content.count else { return [] }
        return Array(content[Int(offset)...].prefix(count))
    }

    mutating func write(_ node: Int, _ bytes: [UInt8], at offset: Int, isShort: Bool, path: String) throws(IOError) {
        var room = isShort ? bytes.count / 2 : bytes.count
        if let capacityBytes {
            // Every node counts, also one without a name: it may come back.
            let used = nodes.values.reduce(0) { $0 + $1.current.count }
            let growthMax = max(capacityBytes - used, 0)
            room = min(room, max(nodes[node]!.current.count - offset, 0) + growthMax)
        }
        if room > 0 { change(node, .write(offset: offset, bytes: Array(bytes.prefix(room)))) }
        if room < bytes.count { throw IOError("write to", path: path, errno: errnoOutOfSpace) }
    }

    mutating func truncate(_ node: Int, to size: Int) { change(node, .truncate(size: size)) }

    private mutating func change(_ node: Int, _ change: Change) {
        change.apply(to: &nodes[node]!.current)
        nodes[node]!.changes.append(change)
        nodes[node]!.modifiedCall = callCount
    }

    // MARK: Durability

    mutating func sync(_ node: Int) {
        if nodes[node]!.isDirectory {
            for change in nameChanges where change.touches(node) { change.apply(to: &durableNames) }
            nameChanges.removeAll { $0.touches(node) }
        } else {
            // Replayed onto what is durable rather than copied from what is shown: after a failed sync the two differ.
            for change in nodes[node]!.changes { change.apply(to: &nodes[node]!.durable) }
            nodes[node]!.changes = []
        }
    }

    /// The kernel gives up on what it could not write: some of it is there, the rest will never be.
    mutating func failSync(_ node: Int) {
        guard nodes[node] != nil else { return }
        if nodes[node]!.isDirectory {
            nameChanges.removeAll { change in
                guard change.touches(node) else { return false }
                if generator.chance(0.5) { change.apply(to: &durableNames) }
                return true
            }
        } else {
            nodes[node]!.durable = survivingContent(nodes[node]!)
            nodes[node]!.changes = []
        }
    }

    mutating func crash() {
        epoch += 1
        for change in nameChanges where generator.chance(0.5) { change.apply(to: &durableNames) }
        nameChanges = []
        names = durableNames
        // In order of their numbers, so that the seed decides alone.
        for node in nodes.keys.sorted() where !nodes[node]!.isDirectory {
            let content = survivingContent(nodes[node]!)
            nodes[node]!.current = content
            nodes[node]!.durable = content
            nodes[node]!.changes = []
        }
        let reachable = Set(names.values)
        nodes = nodes.filter { $0.key == 0 || reachable.contains($0.key) }
    }

    /// One of the contents a power failure may leave: the length from any moment since the last sync, and each sector
    /// from any moment of its own.
    private mutating func survivingContent(_ node: Node) -> [UInt8] {
        if node.changes.isEmpty { return node.durable }
        func length(after count: Int) -> Int {
            node.changes.prefix(count).reduce(node.durable.count) { length, change in
                switch change {
                case .write(let offset, let bytes): max(length, offset + bytes.count)
                case .truncate(let size): size
                }
            }
        }
        let size = length(after: generator.below(node.changes.count + 1))
        var content: [UInt8] = []
        content.reserveCapacity(size)
        while content.count < size {
            let start = content.count
            let end = min(start + SimulatedVolume.sectorBytes, size)
            let moment = generator.below(node.changes.count + 1)
            content.append(contentsOf: sector(node, start..<end, after: moment))
        }
        return content
    }

    /// What `range` held after the first `count` changes; zeros where there was nothing.
    private func sector(_ node: Node, _ range: Range<Int>, after count: Int) -> [UInt8] {
        var sector = [UInt8](repeating: 0, count: range.count)
        for at in range.clamped(to: 0..<node.durable.count) { sector[at - range.lowerBound] = node.durable[at] }
        for change in node.changes.prefix(count) {
            switch change {
            case .write(let offset, let bytes):
                for at in range.clamped(to: offset..<offset + bytes.count) { sector[at - range.lowerBound] = bytes[at - offset] }
            case .truncate(let size):
                for at in range.clamped(to: size..<Int.max) { sector[at - range.lowerBound] = 0 }
            }
        }
        return sector
    }
}

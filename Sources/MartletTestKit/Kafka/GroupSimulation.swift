internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// One cycle of `./dev simulate` for the coordinators: three to eight clients of three groups (classic, with static
/// members; KIP-848; exactly-once workers) over a network that loses, doubles and delays, while clients crash, freeze and
/// come back as zombies beside their successors, and the server crashes and forgets what was not durable. Then the weather
/// clears, and everything has to come to rest.
///
/// What must hold: no partition has two owners in one generation, nor at one moment in a consumer group; committed
/// offsets never go back; results and offsets of the workers are true together; in the end every partition has an owner
/// and every record is read.
package enum GroupSimulation {
    package struct Result: Sendable {
        /// What went wrong, in words; empty where nothing did.
        package var failures: [String] = []
        package var requests = 0
        package var crashes = 0
        package var transactions = 0
        package var traceHash: UInt64 = 0

        package init() {}

        package mutating func add(_ other: Result) {
            requests += other.requests
            crashes += other.crashes
            transactions += other.transactions
            traceHash = (traceHash ^ other.traceHash) &* 0x100_0000_01B3
        }
    }

    /// The same seed gives the same run. Runs it twice where `twice`, to see that it does.
    package static func cycle(seed: UInt64, twice: Bool = false) -> Result {
        let world = GroupWorld(seed: seed)
        world.run()
        var result = Result()
        result.failures = Array(world.failures.prefix(10))
        result.requests = world.requestCount
        result.crashes = world.crashCount
        result.transactions = world.server.endCount
        result.traceHash = world.trace.hash
        if twice {
            let again = GroupWorld(seed: seed)
            again.run()
            if again.trace.hash != world.trace.hash {
                result.failures.append("two runs of one seed differ: something depends on an address, a clock or hash order")
            }
        }
        if !result.failures.isEmpty { result.failures += world.trace.recent }
        return result
    }
}

/// The simulated world: clock, network, server, clients, and what happens to them.
final class GroupWorld {
    static let input = "input"
    private static let serverEndpoint = Endpoint("server")
    private static let stormMillis: Int64 = 120_000
    private static let calmMillis: Int64 = 400_000

    let trace = Trace(keptMax: 80)
    private let clock = SimulatedClock()
    private let network: SimulatedNetwork
    private(set) var server: GroupServerModel
    private var random: SplitMix64
    private let inputID = TopicID(high: 1, low: 1)
    let output = TopicID(high: 2, low: 2)
    let inputPartitions: Int32
    let inputEnd: Int64 = 25
    private var clients: [GroupClientModel] = []
    private var slots: [GroupClientModel] = []
    private var frozen: [(client: GroupClientModel, untilMillis: Int64)] = []
    private var messages: [(connection: Int, request: Int, body: GroupRequest)] = []
    private var responses: [(request: Int, body: GroupResponse)] = []
    private var newest: [Endpoint: (connection: Int, request: Int)] = [:]
    private var generationOwners: [String: String] = [:]
    private(set) var failures: [String] = []
    private(set) var requestCount = 0
    private(set) var crashCount = 0
    private var births = 0
    private var gone: [Endpoint] = []
    private var stepCount = 0
    /// A run takes some 20,000 steps.
    private static let stepsMax = 500_000

    private var syncMillis: Int64?
    private var troubleMillis: Int64
    private var restartMillis: Int64?
    private var roomMillis: Int64?

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        let weather = NetworkWeather(
            dropShare: random.unit() * 0.1, duplicateShare: random.unit() * 0.2, delayNanos: 0...(1 + random.within(0...400)) * 1_000_000)
        network = SimulatedNetwork(seed: random.next(), clock: clock, weather: weather)
        inputPartitions = Int32(random.within(2...6))
        let topics = [
            TopicFacts(name: Self.input, id: inputID, partitions: inputPartitions),
            TopicFacts(name: "output", id: output, partitions: inputPartitions),
        ]
        server = GroupServerModel(seed: random.next(), topics: topics, workers: "workers", output: output)
        troubleMillis = random.within(500...8_000)
        server.start(time)
        for index in 0..<3 + random.below(6) {
            // The first three make sure that every kind is there.
            let kind = index < 3 ? index : random.below(3)
            let isStatic = random.chance(0.5)
            births += 1
            let name = "c\(births)"
            let seed = random.next()
            switch kind {
            case 0: slots.append(ClassicClientModel(name, self, seed: seed, group: "classic", instance: isStatic ? "i\(index)" : nil))
            case 1: slots.append(ConsumerClientModel(name, self, seed: seed, group: "consumers", instance: isStatic ? "i\(index)" : nil))
            default: slots.append(GroupWorkerModel(name, self, seed: seed, group: "workers", transactionalID: "t\(index)"))
            }
        }
        clients = slots
        for client in clients { client.wakeMillis = random.within(0...2_000) }
    }

    var millis: Int64 { clock.monotonicNanos() / 1_000_000 }
    private var time: CoordinatorTime { CoordinatorTime(monotonicMillis: millis, wallMillis: clock.wallMicros() / 1_000) }

    func fail(_ text: String) {
        trace.note("FAILED \(text)")
        failures.append(text)
    }

    // MARK: messages

    func send(_ request: GroupRequest, from client: GroupClientModel) {
        messages.append((client.connection, client.requestNumber, request))
        transmit(from: client.endpoint, to: Self.serverEndpoint, messages.count - 1)
    }

    private func transmit(from: Endpoint, to: Endpoint, _ number: Int) {
        let bytes = withUnsafeBytes(of: Int64(number).bigEndian) { Array($0) }
        do throws(IOError) { try network.send(Frame(from: from, to: to, bytes: bytes)) } catch { fail("the network: \(error)") }
    }

    private func receive(at endpoint: Endpoint) -> (from: Endpoint, number: Int)? {
        do throws(IOError) {
            guard let frame = try network.receive(at: endpoint) else { return nil }
            return (frame.from, frame.bytes.reduce(0) { $0 << 8 | Int($1) })
        } catch {
            return nil
        }
    }

    private func deliver() {
        while let (from, number) = receive(at: Self.serverEndpoint) {
            let message = messages[number]
            // A connection is a stream: what comes doubled, or after what followed it, is not on it any more.
            if let last = newest[from], (message.connection, message.request) <= last { continue }
            newest[from] = (message.connection, message.request)
            guard server.isUp else { continue }
            requestCount += 1
            trace.note("\(millis) \(from): \(message.body.words)")
            server.receive(message.body, from: GroupConnection(client: from, request: message.request), time)
        }
        for client in clients {
            while let (_, number) = receive(at: client.endpoint) {
                let response = responses[number]
                guard !frozen.contains(where: { $0.client === client }) else { continue }
                trace.note("\(millis) \(client.endpoint) hears \(response.body.words)")
                client.receive(response.body, request: response.request)
            }
        }
    }

    /// Takes what arrived for those who are gone, which would else be due for ever.
    private func drain() {
        guard let arrival = network.nextArrivalNanos, arrival <= clock.monotonicNanos() else { return }
        for endpoint in gone { while receive(at: endpoint) != nil {} }
    }

    // MARK: time

    func run() {
        var nextLookMillis: Int64 = 0
        while millis < Self.stormMillis + Self.calmMillis {
            step()
            stepCount += 1
            if stepCount > Self.stepsMax { fail("time stands still at \(millis)") }
            if failures.count + server.failures.count > 0 { break }
            if millis > Self.stormMillis + 60_000, millis >= nextLookMillis {
                nextLookMillis = millis + 1_000
                if isAtRest { break }
            }
        }
        failures += server.failures
        if failures.isEmpty { judgeRest() }
    }

    private var isCalm: Bool { millis >= Self.stormMillis }

    private func step() {
        var next = min(millis + 1_000, (network.nextArrivalNanos ?? .max / 2) / 1_000_000 + 1)
        for client in clients where !client.isDead { next = min(next, client.wakeMillis) }
        for moment in [syncMillis, restartMillis, roomMillis, server.nextDeadlineMillis] { next = min(next, moment ?? .max) }
        if !isCalm { next = min(next, troubleMillis) }
        clock.advance(nanos: max(next * 1_000_000 - clock.monotonicNanos(), 0))
        if isCalm, network.weather.dropShare > 0 {
            network.weather = NetworkWeather(delayNanos: 0...5_000_000)
            frozen = []
        }
        if !isCalm, troubleMillis <= millis { makeTrouble() }
        if isCalm || restartMillis ?? .max <= millis, !server.isUp {
            restartMillis = nil
            trace.note("\(millis) restart")
            server.start(time)
        }
        if server.isFull, isCalm || roomMillis ?? .max <= millis {
            roomMillis = nil
            server.makeRoom()
        }
        frozen.removeAll { $0.untilMillis <= millis }
        deliver()
        server.advance(time)
        if let moment = syncMillis, moment <= millis {
            syncMillis = nil
            for (connection, response) in server.sync(&random) {
                responses.append((connection.request, response))
                transmit(from: Self.serverEndpoint, to: connection.client, responses.count - 1)
            }
            if !isCalm, server.isTorn, random.chance(0.1) { crash() }
        }
        for client in clients where !client.isDead && client.wakeMillis <= millis {
            if frozen.contains(where: { $0.client === client }) { client.wakeMillis = millis + 200 } else { client.wake() }
        }
        replaceTheDead()
        drain()
        judgeOwners()
        if syncMillis == nil, server.hasUnsynced { syncMillis = millis + (isCalm ? 1 : random.within(0...60)) }
    }

    private func makeTrouble() {
        troubleMillis = millis + random.within(300...9_000)
        let slot = random.below(slots.count)
        switch random.below(6) {
        case 0:
            crash()
        case 1, 2:
            trace.note("\(millis) \(slots[slot].endpoint) crashes")
            slots[slot].die()
        case 3:
            trace.note("\(millis) \(slots[slot].endpoint) freezes")
            frozen.append((slots[slot], millis + random.within(1_000...70_000)))
        case 4:
            // The old one comes back while its successor is at work.
            trace.note("\(millis) \(slots[slot].endpoint) freezes and is replaced")
            frozen.append((slots[slot], millis + random.within(1_000...40_000)))
            replace(slot)
        default:
            server.isFull = true
            roomMillis = millis + random.within(10...3_000)
        }
    }

    private func crash() {
        guard server.isUp else { return }
        trace.note("\(millis) crash")
        crashCount += 1
        server.crash()
        syncMillis = nil
        restartMillis = millis + random.within(10...6_000)
    }

    private func replace(_ slot: Int) {
        births += 1
        let successor = slots[slot].successor("c\(births)", seed: random.next())
        successor.wakeMillis = millis + random.within(0...3_000)
        slots[slot] = successor
        clients.append(successor)
    }

    private func replaceTheDead() {
        for slot in slots.indices where slots[slot].isDead { replace(slot) }
        gone += clients.filter(\.isDead).map(\.endpoint)
        clients.removeAll { $0.isDead }
    }

    // MARK: what must hold

    /// A member of a classic group was told its assignment.
    func note(_ client: ClassicClientModel, owns partitions: Set<Int32>, generation: Int32) {
        for partition in partitions.sorted() {
            let name = "\(client.groupID) generation \(generation) partition \(partition)"
            let owner = client.instance ?? client.memberID
            if let other = generationOwners[name], other != owner { fail("\(name) belongs to \(other) and to \(owner)") }
            generationOwners[name] = owner
        }
    }

    private func judgeOwners() {
        var owners: [TopicPartition: Endpoint] = [:]
        for client in clients {
            for partition in client.believed {
                if let other = owners[partition] { fail("consumers: \(other) and \(client.endpoint) own \(partition) at \(millis)") }
                owners[partition] = client.endpoint
            }
        }
    }

    private var groupsInUse: [String] { Set(slots.map(\.group)).sorted() }

    private var isAtRest: Bool {
        guard server.isUp, server.openTransactions == 0 else { return false }
        return groupsInUse.allSatisfy { group in
            let owned = clients.filter { $0.group == group }.flatMap { $0.owned.sorted() }.sorted()
            return owned == Array(0..<inputPartitions)
                && owned.allSatisfy { server.finalOffset(group, NamedPartition(Self.input, $0)) == inputEnd }
        }
    }

    private func judgeRest() {
        if isAtRest { return }
        for group in groupsInUse {
            let owned = clients.filter { $0.group == group }.map { "\($0.endpoint): \($0.owned.sorted())" }
            let offsets = (0..<inputPartitions).map { server.finalOffset(group, NamedPartition(Self.input, $0)) }
            fail("\(group) does not come to rest: \(owned), offsets \(offsets), \(server.openTransactions) batches open")
        }
    }
}

internal import MartletKafka
internal import MartletLog

/// What a quota limits.
enum QuotaKind: String, CaseIterable, Sendable {
    case produce = "producer_byte_rate"
    case fetch = "consumer_byte_rate"
    /// Percent of the time of one thread.
    case request = "request_percentage"
    /// Kept and described; this server's controller is never the bottleneck, so they throttle nobody.
    case mutation = "controller_mutation_rate"
    case connections = "connection_creation_rate"

    var entityTypes: Set<String> { self == .connections ? ["ip"] : ["user", "client-id"] }
}

/// Whom a quota is for: parts such as user and client-id, each with a name or, as nil, the default for all without their
/// own. In the order of types.
struct QuotaEntity: Hashable, Comparable, Sendable {
    struct Part: Hashable, Sendable {
        var type: String
        var name: String?
    }

    var parts: [Part]

    init(_ parts: [Part]) { self.parts = parts.sorted { $0.type < $1.type } }

    func name(of type: String) -> String?? { parts.first { $0.type == type }?.name }

    static func < (left: QuotaEntity, right: QuotaEntity) -> Bool { left.key.lexicographicallyPrecedes(right.key) }

    /// Its key in the log: type, 0, then 1 and the name or 2 for the default, 0 …
    var key: [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            bytes += Array(part.type.utf8) + [0]
            if let name = part.name { bytes += [1] + Array(name.utf8) } else { bytes.append(2) }
            bytes.append(0)
        }
        return bytes
    }

    init?(key: [UInt8]) {
        let fields = key.split(separator: 0, omittingEmptySubsequences: false)
        guard fields.count % 2 == 1, fields.count >= 3, fields.last?.isEmpty == true else { return nil }
        var parts: [Part] = []
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            let type = String(decoding: fields[index], as: UTF8.self)
            switch fields[index + 1].first {
            case 1: parts.append(Part(type: type, name: String(decoding: fields[index + 1].dropFirst(), as: UTF8.self)))
            case 2: parts.append(Part(type: type, name: nil))
            default: return nil
            }
        }
        self.init(parts)
    }
}

/// Limits on what clients take, and how long they must wait once over them (KIP-13, KIP-124, KIP-219). Loop thread only.
///
/// A client's rate is that over a window of samples, the running one included, as in Kafka: a burst within the window's
/// total passes, and what is beyond it is waited off.
struct ClientQuotas {
    /// Until users exist everybody is Kafka's anonymous one.
    static let user = "ANONYMOUS"

    private(set) var limits: [QuotaEntity: [String: Double]] = [:]
    /// By kind, whose limit it is, and who uses it up.
    private var meters: [MeterKey: RateMeter] = [:]
    private let samples: Int
    private let sampleNanos: Int64
    /// No client waits longer at one time.
    private static let throttleMillisMax: Double = 30_000
    /// Meters that are kept; above it, those that have been idle for a window go.
    private static let metersMax = 20_000

    private struct MeterKey: Hashable {
        var kind: QuotaKind
        var entity: QuotaEntity
        var client: String
    }

    init(samples: Int, sampleSeconds: Int) {
        self.samples = samples
        sampleNanos = Int64(sampleSeconds) * 1_000_000_000
    }

    var isEmpty: Bool { limits.isEmpty }

    mutating func set(_ entity: QuotaEntity, _ values: [String: Double]) { limits[entity] = values.isEmpty ? nil : values }

    /// Adds to what the client used of `kind`; returns for how long, in milliseconds, it has to be quiet.
    mutating func record(_ kind: QuotaKind, client: String, amount: Double, now: Int64) -> Int32 {
        guard !limits.isEmpty, let (entity, limit) = limit(kind, client) else { return 0 }
        // One meter for each pair that the limit tells apart: a limit on the user alone is shared by its clients.
        let sharer = entity.name(of: "client-id") == nil ? "" : client
        let key = MeterKey(kind: kind, entity: entity, client: sharer)
        if meters.count > ClientQuotas.metersMax { dropIdleMeters(now) }
        var meter = meters[key] ?? RateMeter(samples: samples, sampleNanos: sampleNanos)
        let wait = meter.record(amount, limit: limit, now: now)
        meters[key] = meter
        return Int32(min(wait, ClientQuotas.throttleMillisMax).rounded(.up))
    }

    private mutating func dropIdleMeters(_ now: Int64) {
        let window = Int64(samples) * sampleNanos
        meters = meters.filter { now - $0.value.lastNanos < window }
    }

    /// The most specific limit there is for a client, in Kafka's order.
    func limit(_ kind: QuotaKind, _ client: String) -> (QuotaEntity, Double)? {
        typealias Part = QuotaEntity.Part
        let user = Part(type: "user", name: ClientQuotas.user)
        let anyUser = Part(type: "user", name: nil)
        let own = Part(type: "client-id", name: client)
        let anyClient = Part(type: "client-id", name: nil)
        for parts in [[user, own], [user, anyClient], [user], [anyUser, own], [anyUser, anyClient], [anyUser], [own], [anyClient]] {
            let entity = QuotaEntity(parts)
            if let value = limits[entity]?[kind.rawValue] { return (entity, value) }
        }
        return nil
    }
}

/// What was used in the last samples.
struct RateMeter {
    private var used: [(startNanos: Int64, amount: Double)] = []
    private let samples: Int
    private let sampleNanos: Int64
    private(set) var lastNanos: Int64 = 0

    init(samples: Int, sampleNanos: Int64) {
        self.samples = samples
        self.sampleNanos = sampleNanos
    }

    /// Milliseconds after which the rate will be down to `limit` (a second), if nothing more is used.
    mutating func record(_ amount: Double, limit: Double, now: Int64) -> Double {
        lastNanos = now
        used.removeAll { now &- $0.startNanos >= Int64(samples) * sampleNanos }
        if let last = used.last, now &- last.startNanos < sampleNanos {
            used[used.count - 1].amount += amount
        } else {
            used.append((now, amount))
        }
        let total = used.reduce(0) { $0 + $1.amount }
        // All but one of the samples count as complete even in the beginning, so that the first burst is not judged by an
        // instant.
        let elapsed = max(now &- used[0].startNanos, Int64(samples - 1) * sampleNanos)
        let seconds = Double(elapsed) * 1e-9
        guard limit > 0 else { return total > 0 ? .infinity : 0 }
        let excess = total / limit - seconds
        return excess > 0 ? excess * 1000 : 0
    }
}

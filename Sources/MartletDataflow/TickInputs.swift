internal import MartletCore
package import MartletState

/// What a tick took in, as far as it does not follow from the state before it: enough to carry the tick out again with the
/// same result. Rows fed to relations are not part of it: who fed them feeds them again.
package struct TickInputs: Equatable, Sendable {
    /// A partition that gave something, or whose standing changed.
    package struct Partition: Equatable, Sendable {
        /// Ordinal of the source in the circuit, and of the partition in the source.
        package var source: Int
        package var partition: Int
        /// Where its reader stands after the tick.
        package var position: Int64
        /// After the tick.
        package var isFinished: Bool
        package var isIdle: Bool

        package init(source: Int, partition: Int, position: Int64, isFinished: Bool, isIdle: Bool) {
            self.source = source
            self.partition = partition
            self.position = position
            self.isFinished = isFinished
            self.isIdle = isIdle
        }
    }

    /// A source that was silent altogether, and how far the clock has moved its event time.
    package struct Advance: Equatable, Sendable {
        package var source: Int
        package var watermark: Watermark

        package init(source: Int, watermark: Watermark) {
            self.source = source
            self.watermark = watermark
        }
    }

    package var tick: UInt64
    /// The wall clock of the tick, microseconds since 1970.
    package var wallMicros: Int64
    /// By source: how many partitions took part.
    package var partitionCounts: [Int]
    /// In the order of sources, then partitions, each once.
    package var partitions: [Partition]
    /// In the order of sources, each once.
    package var advances: [Advance]

    package init(tick: UInt64, wallMicros: Int64, partitionCounts: [Int], partitions: [Partition], advances: [Advance] = []) {
        self.advances = advances
        self.tick = tick
        self.wallMicros = wallMicros
        self.partitionCounts = partitionCounts
        self.partitions = partitions
    }
}

/// As bytes (docs/formats/checkpoint.md): a dozen for a tick that took nothing, up to ten more for each partition named.
extension TickInputs {
    private static let version: UInt8 = 1
    /// With advances behind the partitions.
    private static let advancingVersion: UInt8 = 2
    private static let sourcesMax = 1 << 16
    private static let partitionsMax = 1 << 24

    package func encode() -> [UInt8] {
        var bytes: [UInt8] = [advances.isEmpty ? TickInputs.version : TickInputs.advancingVersion]
        TickInputs.append(tick, to: &bytes)
        TickInputs.append(signed: wallMicros, to: &bytes)
        TickInputs.append(UInt64(partitionCounts.count), to: &bytes)
        var firsts: [Int] = []
        var first = 0
        for count in partitionCounts {
            TickInputs.append(UInt64(count), to: &bytes)
            firsts.append(first)
            first += count
        }
        TickInputs.append(UInt64(partitions.count), to: &bytes)
        var next = 0
        for partition in partitions {
            // Partitions are numbered through all sources; the number is given as its distance from the one before.
            let number = firsts[partition.source] + partition.partition
            let flags: UInt64 = (partition.isFinished ? 1 : 0) | (partition.isIdle ? 2 : 0)
            TickInputs.append(UInt64(number - next) << 2 | flags, to: &bytes)
            TickInputs.append(signed: partition.position, to: &bytes)
            next = number + 1
        }
        if !advances.isEmpty {
            TickInputs.append(UInt64(advances.count), to: &bytes)
            for advance in advances {
                TickInputs.append(UInt64(advance.source), to: &bytes)
                TickInputs.append(signed: advance.watermark, to: &bytes)
            }
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(StateError) {
        do {
            self = try bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                let inputs = try TickInputs(from: &reader)
                guard reader.isAtEnd else { throw StateError("tick record: \(reader.remaining) bytes too many") }
                return inputs
            }
        } catch let error as StateError {
            throw error
        } catch {
            throw StateError("tick record: \(error)")
        }
    }

    private init(from reader: inout ByteReader) throws {
        let version = try reader.readUInt8()
        guard version == TickInputs.version || version == TickInputs.advancingVersion else {
            throw StateError("tick record of version \(version); this program reads versions up to \(TickInputs.advancingVersion)")
        }
        tick = try reader.readVarUInt64()
        wallMicros = try reader.readVarInt64()
        partitionCounts = []
        let sources = try reader.readVarUInt64()
        guard sources <= TickInputs.sourcesMax else { throw StateError("tick record: \(sources) sources") }
        var total = 0
        for _ in 0..<sources {
            let count = try reader.readVarUInt64()
            guard count <= TickInputs.partitionsMax else { throw StateError("tick record: \(count) partitions") }
            partitionCounts.append(Int(count))
            total += Int(count)
        }
        partitions = []
        let named = try reader.readVarUInt64()
        var next = 0
        var source = 0
        var first = 0
        for _ in 0..<named {
            let word = try reader.readVarUInt64()
            let position = try reader.readVarInt64()
            guard word >> 2 < UInt64(max(total - next, 0)) else { throw StateError("tick record: a partition that is not there") }
            let number = next + Int(word >> 2)
            while number >= first + partitionCounts[source] {
                first += partitionCounts[source]
                source += 1
            }
            partitions.append(
                Partition(
                    source: source, partition: number - first, position: position, isFinished: word & 1 != 0, isIdle: word & 2 != 0))
            next = number + 1
        }
        advances = []
        guard version == TickInputs.advancingVersion else { return }
        for _ in 0..<(try reader.readVarUInt64()) {
            let source = try reader.readVarUInt64()
            guard source < sources, advances.last.map({ $0.source < Int(source) }) ?? true else {
                throw StateError("tick record: a source that is not there")
            }
            advances.append(Advance(source: Int(source), watermark: try reader.readVarInt64()))
        }
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Zigzag.
    private static func append(signed number: Int64, to bytes: inout [UInt8]) {
        append(UInt64(bitPattern: (number << 1) ^ (number >> 63)), to: &bytes)
    }
}

internal import Foundation
internal import MartletConnectors
internal import MartletCore
internal import Testing

/// What the generators say that they planted, against what a reader of the lines finds with plain code.
@Suite struct PlantedTests {
    /// The lines without the damaged, the late and the repeated ones.
    private func clean(_ options: GeneratorOptions) throws -> [[String: Any]] {
        let generator = try Generators.make(options)
        var rows: [[String: Any]] = []
        for ordinal in 0..<(options.events ?? 0) {
            let fate = generator.fate(of: ordinal).fate
            guard fate.damage == nil && !fate.isLate else { continue }
            let sink = ByteSink()
            generator.write(0, from: ordinal, by: 1, count: 1, into: sink)
            rows.append(try object(Array(sink.bytes.prefix { $0 != UInt8(ascii: "\n") })))
        }
        return rows
    }

    @Test func fraudIsWhatStandsOut() throws {
        let options = spoilt(.fraud, events: 100_000)
        let planted = Generators.plantedFraud(options)
        func cards(_ kind: PlantedFraud.Kind) -> Set<String> { Set(planted.filter { $0.kind == kind }.map(\.card)) }
        #expect(planted.filter { $0.kind == .velocity }.count >= 6)

        struct Minute: Hashable { var card: String; var minute: Int64 }
        var perMinute: [Minute: Int] = [:]
        var visits: [String: [(time: Int64, country: String)]] = [:]
        var big: [String] = []
        for row in try clean(options) {
            let card = try #require(row["card"] as? String)
            let time = try micros(row["ts"])
            perMinute[Minute(card: card, minute: time / 60_000_000), default: 0] += 1
            visits[card, default: []].append((time, try #require(row["country"] as? String)))
            if try #require(row["amount"] as? Double) >= 5000 { big.append(card) }
        }
        let whole = planted.filter { $0.kind == .velocity && $0.events.count >= 12 }
        let fast = Set(perMinute.filter { $0.value > 5 }.map(\.key.card))
        #expect(fast.isSubset(of: cards(.velocity)) && fast.isSuperset(of: whole.map(\.card)))
        #expect(big.sorted() == planted.filter { $0.kind == .amount }.map(\.card).sorted())

        var travelled: Set<String> = []
        for (card, list) in visits {
            let inOrder = list.sorted { $0.time < $1.time }
            for (before, after) in zip(inOrder, inOrder.dropFirst()) where before.country != after.country {
                if after.time - before.time < 60_000_000 { travelled.insert(card) }
            }
        }
        #expect(travelled == cards(.travel) && travelled.count >= 4)
    }

    @Test func abandonedCartsAreThoseWithoutAnOrder() throws {
        var options = spoilt(.cart, events: 10_240)
        options.disorder = 0
        var added: [String: UInt64] = [:]
        var ordered: [String: UInt64] = [:]
        for row in try clean(options) {
            let visitor = try #require(row["visitor"] as? String)
            let quantity = try #require(row["quantity"] as? Int)
            let cents = UInt64((try #require(row["price"] as? Double) * 100).rounded())
            switch row["action"] as? String {
            case "add": added[visitor, default: 0] += UInt64(quantity) * cents
            case "order": ordered[visitor] = cents
            default: #expect(row["action"] as? String == "view" && quantity == 0)
            }
        }
        for (visitor, value) in ordered { #expect(added[visitor] == value) }
        let left = added.filter { ordered[$0.key] == nil }
        let planted = Generators.abandonedCarts(options)
        #expect(planted.count > 200 && ordered.count > 200)
        #expect(Dictionary(uniqueKeysWithValues: planted.map { ($0.visitor, $0.value) }) == left)
    }

    @Test func troubledMachinesAreHotOrSilent() throws {
        var options = spoilt(.iot, events: 240_000)
        options.late = 0
        options.bad = 0
        let planted = Generators.machineTroubles(options)
        var hot: Set<String> = []
        var last: [String: Int64] = [:]
        var silent: [String: Int] = [:]
        for row in try clean(options) {
            let machine = try #require(row["machine_id"] as? String)
            let time = try micros(row["ts"])
            if try #require(row["temperature"] as? Double) > 85 { hot.insert(machine) }
            if let before = last[machine], time - before > 120_000_000 { silent[machine, default: 0] += 1 }
            last[machine] = max(time, last[machine] ?? .min)
        }
        func machines(_ kind: MachineTrouble.Kind) -> [String] { planted.filter { $0.kind == kind }.map(\.machine) }
        #expect(hot == Set(machines(.overheating)) && hot.count >= 5)
        #expect(silent.flatMap { Array(repeating: $0.key, count: $0.value) }.sorted() == machines(.silence).sorted())
        #expect(!silent.isEmpty)
    }
}

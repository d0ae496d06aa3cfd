internal import MartletConnectors
internal import MartletCore
internal import Testing

/// The number behind `"name":` in a line.
private func number(_ name: String, _ line: [UInt8]) -> Int {
    let key = Array("\"\(name)\":".utf8)
    var at = 0
    while !line[at...].starts(with: key) { at += 1 }
    return line[(at + key.count)...].prefix { $0 >= 48 && $0 <= 57 }.reduce(0) { $0 * 10 + Int($1 - 48) }
}

/// The text behind `"name":"` in a line.
private func text(_ name: String, _ line: [UInt8]) -> String {
    let key = Array("\"\(name)\":\"".utf8)
    var at = 0
    while !line[at...].starts(with: key) { at += 1 }
    return String(decoding: line[(at + key.count)...].prefix { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
}

@Suite struct NexmarkTests {
    static let events: UInt64 = 1_000_000
    static func options() -> GeneratorOptions {
        var options = GeneratorOptions(kind: .nexmark)
        options.seed = 7
        options.events = events
        return options
    }

    @Test func aRoundIsOnePersonThreeAuctionsAndFortySixBids() throws {
        for events in [0, 1, 2, 4, 5, 49, 50, 51, 1234] as [UInt64] {
            var options = Self.options()
            options.events = events
            let generator = try Generators.make(options)
            var owned: [UInt64] = []
            for stream in 0..<3 {
                owned += (0..<(generator.count(of: stream) ?? 0)).map { generator.event($0, of: stream) }
            }
            #expect(owned.sorted() == Array(0..<events))
        }
        let generator = try Generators.make(Self.options())
        #expect((0..<3).map { generator.count(of: $0) } == [20_000, 60_000, 920_000])
    }

    @Test func timeRunsAtTenThousandEventsPerSecond() throws {
        let generator = try Generators.make(Self.options())
        #expect(generator.fate(of: 0).time == 1_767_225_600_000_000)
        #expect(generator.fate(of: 10_000).time == 1_767_225_601_000_000)
        let bids = try lines(Self.options(), stream: 2)
        #expect(text("date_time", bids[0]) == "2026-01-01T00:00:00.000Z")
        #expect(text("date_time", bids[919_999]) == "2026-01-01T00:01:39.999Z")
    }

    @Test func bidsGoToTheHotAuctionAndComeFromHotBidders() throws {
        let bids = try lines(Self.options(), stream: 2)
        var hotAuctions = 0
        var hotBidders = 0
        var channels: [String: Int] = [:]
        var bytes = 0
        var prices: [Int] = []
        for (index, bid) in bids.enumerated() {
            let round = index / 46
            let newest = round * 3 + 2
            let auction = number("auction", bid) - 1000
            let bidder = number("bidder", bid) - 1000
            if auction == newest / 100 * 100 { hotAuctions += 1 }
            if bidder == round / 100 * 100 + 1 { hotBidders += 1 }
            if auction < newest - 199 || auction > newest + 10 || bidder > round + 10 || bidder < round - 999 {
                Issue.record("bid \(index) refers to auction \(auction) and bidder \(bidder)")
            }
            channels[text("channel", bid), default: 0] += 1
            bytes += bid.count + 1
            prices.append(number("price", bid))
        }
        let share = { (count: Int) in Double(count) / Double(bids.count) }
        // The hot one is also picked by chance: one of 111 auctions, one of up to 1,010 bidders.
        #expect(abs(share(hotAuctions) - 0.5) < 0.01)
        #expect(abs(share(hotBidders) - 0.75) < 0.01)
        for hot in ["Google", "Facebook", "Baidu", "Apple"] {
            #expect(abs(share(channels.removeValue(forKey: hot) ?? 0) - 0.125) < 0.005)
        }
        #expect(channels.count == 10_000)
        #expect(abs(Double(bytes) / Double(bids.count) - 196) < 4)
        prices.sort()
        #expect(prices.first.map { $0 >= 100 && $0 < 110 } == true && prices.last.map { $0 > 95_000_000 && $0 <= 100_000_000 } == true)
        // As many in each decade: the median is 10 to the third, in cents.
        #expect(abs(prices[prices.count / 2] - 100_000) < 2000)
    }

    @Test func auctionsAreMostlyOfHotSellers() throws {
        let auctions = try lines(Self.options(), stream: 1)
        var hot = 0
        var categories: Set<Int> = []
        var bytes = 0
        for (index, auction) in auctions.enumerated() {
            #expect(number("id", auction) == 1000 + index)
            if number("seller", auction) - 1000 == index / 3 / 100 * 100 { hot += 1 }
            categories.insert(number("category", auction))
            #expect(text("expires", auction) > text("date_time", auction))
            #expect(number("reserve", auction) > number("initial_bid", auction))
            bytes += auction.count + 1
        }
        #expect(abs(Double(hot) / Double(auctions.count) - 0.75) < 0.01)
        #expect(categories == [10, 11, 12, 13, 14])
        #expect(abs(Double(bytes) / Double(auctions.count) - 500) < 15)
    }

    @Test func peopleAreNumbered() throws {
        let people = try lines(Self.options(), stream: 0)
        var bytes = 0
        for (index, person) in people.enumerated() {
            #expect(number("id", person) == 1000 + index)
            bytes += person.count + 1
        }
        #expect(abs(Double(bytes) / Double(people.count) - 200) < 6)
    }
}

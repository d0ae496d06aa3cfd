internal import MartletCore

/// The auction site of the Nexmark benchmark (Tucker, Tufte, Papadimos, Maier: "NEXMark – A Benchmark for Queries over
/// Data Streams", 2008), with the parameters that Apache Beam's and Flink's versions share: people, the auctions they
/// open and the bids on them, in the proportion 1 : 3 : 46.
///
/// Event `n` of a round of 50 is the person for 0, an auction for 1, 2, 3 and a bid for the rest, so that which people and
/// auctions exist when an event happens is arithmetic on `n`. References reach up to `idLead` ids ahead of what exists:
/// a bid may come before its auction, as with swapped messages.
struct NexmarkGenerator: LineGenerator {
    static let auctionsPerRound: UInt64 = 3
    static let bidsPerRound: UInt64 = 46
    static let eventsPerRound: UInt64 = 50
    static let firstID: UInt64 = 1000
    static let firstCategory: UInt64 = 10
    static let categories: UInt64 = 5
    static let auctionsInFlight: UInt64 = 100
    static let activePeople: UInt64 = 1000
    static let idLead: UInt64 = 10
    /// Of how many bids one is not on the hot auction, of how many not by a hot bidder, and of auctions by a hot seller.
    static let hotAuctionRatio: UInt64 = 2
    static let hotBidderRatio: UInt64 = 4
    static let hotSellerRatio: UInt64 = 4
    /// The hot one stays the same for this many ids.
    static let hotBatch: UInt64 = 100
    static let channels: UInt64 = 10_000

    let options: GeneratorOptions
    let timing: EventTiming
    let streams = ["person", "auction", "bid"]
    private let seed: UInt64
    private let prices = PriceTable()
    /// Twice the average life of an auction in milliseconds: until `auctionsInFlight` more are opened.
    private let expiresWithin: UInt64

    init(_ options: GeneratorOptions) {
        self.options = options
        timing = EventTiming(options)
        seed = options.seed
        let eventsUntil = Self.auctionsInFlight * Self.eventsPerRound / Self.auctionsPerRound
        expiresWithin = max(2 * eventsUntil * 1000 / timing.rate, 1)
    }

    func isPlanted(_ event: UInt64) -> Bool { false }

    func count(of stream: Int) -> UInt64? {
        guard let events = options.events else { return nil }
        let (rounds, rest) = events.quotientAndRemainder(dividingBy: Self.eventsPerRound)
        return switch stream {
        case 0: rounds + min(rest, 1)
        case 1: rounds * Self.auctionsPerRound + min(max(rest, 1) - 1, Self.auctionsPerRound)
        default: rounds * Self.bidsPerRound + max(rest, 4) - 4
        }
    }

    @inline(__always) func event(_ ordinal: UInt64, of stream: Int) -> UInt64 {
        switch stream {
        case 0: return ordinal &* Self.eventsPerRound
        case 1:
            let round = ordinal / Self.auctionsPerRound
            return round &* Self.eventsPerRound &+ 1 &+ (ordinal &- round &* Self.auctionsPerRound)
        default:
            let round = ordinal / Self.bidsPerRound
            return round &* Self.eventsPerRound &+ 4 &+ (ordinal &- round &* Self.bidsPerRound)
        }
    }

    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        writeLines(stream, from: first, by: step, count: count, into: sink)
    }

    @inline(__always) func line(_ event: UInt64, of stream: Int, at milliseconds: Int64, into line: inout LineWriter) {
        var random = SplitMix64.stream(seed, event)
        switch stream {
        case 0: person(event, milliseconds, &random, &line)
        case 1: auction(event, milliseconds, &random, &line)
        default: bid(event, milliseconds, &random, &line)
        }
    }

    /// The newest person (from 0) when `event` happens; event 0 is person 0.
    private static func newestPerson(_ event: UInt64) -> UInt64 { event / eventsPerRound }

    /// The newest auction (from 0) when `event` happens, which is no person.
    private static func newestAuction(_ event: UInt64) -> UInt64 {
        let round = event / eventsPerRound
        return round &* auctionsPerRound &+ min(event &- round &* eventsPerRound &- 1, auctionsPerRound &- 1)
    }

    /// Any of the active people, or one of the next few.
    private static func anyone(_ event: UInt64, _ random: inout SplitMix64) -> UInt64 {
        let people = newestPerson(event) &+ 1
        let active = min(people, activePeople)
        return people &- active &+ random.below(active &+ idLead)
    }

    @inline(__always)
    private func bid(_ event: UInt64, _ milliseconds: Int64, _ random: inout SplitMix64, _ line: inout LineWriter) {
        let newest = Self.newestAuction(event)
        let auction: UInt64
        if random.below(Self.hotAuctionRatio) > 0 {
            auction = newest / Self.hotBatch * Self.hotBatch
        } else {
            let oldest = newest > Self.auctionsInFlight ? newest &- Self.auctionsInFlight : 0
            auction = oldest &+ random.below(newest &- oldest &+ 1 &+ Self.idLead)
        }
        // The second of a batch of people bids, the first sells: the hot ones do not meet.
        let bidder = random.below(Self.hotBidderRatio) > 0
            ? Self.newestPerson(event) / Self.hotBatch * Self.hotBatch &+ 1
            : Self.anyone(event, &random)
        line.literal("{\"auction\":")
        line.decimal(Self.firstID &+ auction)
        line.literal(",\"bidder\":")
        line.decimal(Self.firstID &+ bidder)
        line.literal(",\"price\":")
        let from = line.count
        line.decimal(prices.pick(&random))
        line.markNumber(from: from)
        line.literal(",\"channel\":\"")
        let choice = random.next()
        if choice & 1 == 0 {
            let hot = Int(choice &>> 1 & 3)
            line.literal(nexmarkHotChannels[hot])
            line.markText()
            line.literal("\",\"url\":\"https://www.nexmark.com/")
            line.literal(nexmarkHotPaths[hot])
            line.literal("/item.htm?query=1")
        } else {
            let channel = (choice &>> 1) % Self.channels
            line.literal("channel-")
            line.decimal(channel)
            line.markText()
            // A channel always has the same page; nine of ten tell who sent the visitor.
            var page = SplitMix64(seed: channel &+ 0x6368_616E)
            line.literal("\",\"url\":\"https://www.nexmark.com/")
            line.letters(3, &page)
            line.byte(UInt8(ascii: "/"))
            line.letters(4, &page)
            line.byte(UInt8(ascii: "/"))
            line.letters(3, &page)
            line.literal("/item.htm?query=1")
            if page.below(10 as UInt64) > 0 {
                line.literal("&channel_id=")
                line.decimal(channel)
            }
        }
        line.literal("\",\"date_time\":")
        line.eventTime(milliseconds)
        finish(&line, &random, about: 188, spread: 16)
    }

    private func auction(_ event: UInt64, _ milliseconds: Int64, _ random: inout SplitMix64, _ line: inout LineWriter) {
        let seller = random.below(Self.hotSellerRatio) > 0
            ? Self.newestPerson(event) / Self.hotBatch * Self.hotBatch
            : Self.anyone(event, &random)
        let initialBid = prices.pick(&random)
        line.literal("{\"id\":")
        line.decimal(Self.firstID &+ Self.newestAuction(event))
        line.literal(",\"item_name\":\"")
        words(&line, &random, 3 &+ random.below(17))
        line.markText()
        line.literal("\",\"description\":\"")
        words(&line, &random, 3 &+ random.below(97))
        line.literal("\",\"initial_bid\":")
        let from = line.count
        line.decimal(initialBid)
        line.markNumber(from: from)
        line.literal(",\"reserve\":")
        line.decimal(initialBid &+ prices.pick(&random))
        line.literal(",\"date_time\":")
        line.eventTime(milliseconds)
        line.literal(",\"expires\":")
        line.timestamp(milliseconds &+ 1 &+ Int64(bitPattern: random.below(expiresWithin)))
        line.literal(",\"seller\":")
        line.decimal(Self.firstID &+ seller)
        line.literal(",\"category\":")
        line.decimal(Self.firstCategory &+ random.below(Self.categories))
        finish(&line, &random, about: 450, spread: 100)
    }

    private func person(_ event: UInt64, _ milliseconds: Int64, _ random: inout SplitMix64, _ line: inout LineWriter) {
        line.literal("{\"id\":")
        let from = line.count
        line.decimal(Self.firstID &+ Self.newestPerson(event))
        line.markNumber(from: from)
        line.literal(",\"name\":\"")
        line.literal(nexmarkFirstNames[random.below(nexmarkFirstNames.count)])
        line.byte(UInt8(ascii: " "))
        line.literal(nexmarkLastNames[random.below(nexmarkLastNames.count)])
        line.markText()
        line.literal("\",\"email_address\":\"")
        line.letters(3 &+ random.below(4 as Int), &random)
        line.byte(UInt8(ascii: "@"))
        line.letters(3 &+ random.below(2 as Int), &random)
        line.literal(".com\",\"credit_card\":\"")
        for group in 0..<4 {
            if group > 0 { line.byte(UInt8(ascii: " ")) }
            line.decimal(random.below(10_000 as UInt64), width: 4)
        }
        line.literal("\",\"city\":\"")
        line.literal(nexmarkCities[random.below(nexmarkCities.count)])
        line.literal("\",\"state\":\"")
        line.literal(nexmarkStates[random.below(nexmarkStates.count)])
        line.literal("\",\"date_time\":")
        line.eventTime(milliseconds)
        finish(&line, &random, about: 190, spread: 20)
    }

    /// Closes the object with an `extra` that fills the line up to `about + 0 … spread` bytes.
    @inline(__always)
    private func finish(_ line: inout LineWriter, _ random: inout SplitMix64, about: Int, spread: Int) {
        line.literal(",\"extra\":\"")
        let room = about &+ random.below(spread &+ 1) &- line.count &- 3
        if room > 0 { line.letters(room, &random) }
        line.literal("\"}")
    }

    /// Letters and some blanks, never at the ends.
    private func words(_ line: inout LineWriter, _ random: inout SplitMix64, _ count: UInt64) {
        let start = line.end
        line.letters(Int(count), &random)
        var at = 3 &+ random.below(8 as Int)
        while at < Int(count) &- 1 {
            start[at] = UInt8(ascii: " ")
            at &+= 3 &+ random.below(10 as Int)
        }
    }
}

/// Prices in cents from 100 to 10⁸, as many in each decade. A table instead of the C library's `pow`, whose last bit
/// differs between versions: multiplication and square root are exact everywhere.
struct PriceTable: Sendable {
    private let steps: [Double]

    init() {
        var root = 10.0
        for _ in 0..<10 { root = root.squareRoot() }
        var power = 1.0
        var steps: [Double] = []
        for _ in 0...1024 {
            steps.append(power)
            power *= root
        }
        self.steps = steps
    }

    @inline(__always) func pick(_ random: inout SplitMix64) -> UInt64 {
        value(&random, times: PriceTable.scales[random.below(PriceTable.scales.count)])
    }

    /// `scale` times 10 to a power between 0 and 1.
    @inline(__always) func value(_ random: inout SplitMix64, times scale: Double) -> UInt64 {
        let bits = random.next()
        let step = Int(bits & 1023)
        let within = Double(bits &>> 10 & 1023) * 0x1p-10
        return UInt64((steps[step] + (steps[step &+ 1] - steps[step]) * within) * scale)
    }

    private static let scales: InlineArray<6, Double> = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]
}

private let nexmarkHotChannels: InlineArray<4, StaticString> = ["Google", "Facebook", "Baidu", "Apple"]
private let nexmarkHotPaths: InlineArray<4, StaticString> = ["abo/tuvk/kfc", "mfe/qhdx/fil", "wze/lakp/zto", "gna/pwtr/ibs"]
private let nexmarkStates: InlineArray<6, StaticString> = ["AZ", "CA", "ID", "OR", "WA", "WY"]
private let nexmarkCities: InlineArray<10, StaticString> = [
    "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne",
]
private let nexmarkFirstNames: InlineArray<11, StaticString> = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
]
private let nexmarkLastNames: InlineArray<9, StaticString> = [
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris",
]

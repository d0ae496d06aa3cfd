internal import MartletCore

/// Card payments with three kinds of fraud planted in them:
///
/// - velocity: one card pays 12 to 16 small amounts, half a second apart (somebody tries out a stolen card), so that at least
///   six of them lie within one minute wherever minutes end;
/// - amount: one payment of 5,000.00 to 50,000.00, where all others are below 500;
/// - travel: a card pays at home and 5 to 15 seconds later in another country.
///
/// All other payments visit the cards in rounds, each card once a round in an order that differs from round to round, and
/// a round lasts at least two minutes: a card pays at most twice within a minute, at home, unless something was planted.
struct FraudGenerator: LineGenerator {
    static let bigAmountFrom: UInt64 = 500_000
    static let burstMax: UInt64 = 16
    static let burstMin: UInt64 = 12

    let options: GeneratorOptions
    let timing: EventTiming
    let streams = ["payments"]
    private let seed: UInt64
    private let prices = PriceTable()
    private let cardBits: UInt64
    /// Events between two payments of a burst, and the events in which one burst, one big amount, one journey happen.
    private let burstStep: UInt64
    private let burstSlot: UInt64
    private let amountSlot: UInt64 = 5000
    private let travelSlot: UInt64

    init(_ options: GeneratorOptions) {
        self.options = options
        timing = EventTiming(options)
        seed = options.seed
        let rate = timing.rate
        cardBits = UInt64(64 - (max(128 * rate, 1024) - 1).leadingZeroBitCount)
        burstStep = max(rate / 2, 1)
        burstSlot = max(10 * rate, 2 * burstStep * Self.burstMax)
        travelSlot = 20 * max(rate, 2)
    }

    /// What an event is part of; the number says which of its kind.
    enum Role: Equatable {
        case ordinary
        case burst(UInt64)
        case amount
        case travel(UInt64, isAway: Bool)
    }

    private func burst(_ number: UInt64) -> (first: UInt64, count: UInt64, card: UInt64) {
        var random = SplitMix64.stream(seed ^ 0xB0, number)
        let count = Self.burstMin &+ random.below(Self.burstMax &- Self.burstMin &+ 1)
        let first = number &* burstSlot &+ random.below(burstSlot &- Self.burstMax &* burstStep)
        return (first, count, random.next() & cardMask)
    }

    private func journey(_ number: UInt64) -> (home: UInt64, away: UInt64, card: UInt64) {
        var random = SplitMix64.stream(seed ^ 0x70, number)
        let gap = travelSlot / 4 &+ random.below(travelSlot / 2)
        let home = number &* travelSlot &+ random.below(travelSlot &- gap)
        return (home, home &+ gap, random.next() & cardMask)
    }

    func role(_ event: UInt64) -> Role {
        let burstNumber = event / burstSlot
        let burst = burst(burstNumber)
        if event >= burst.first {
            let since = event &- burst.first
            if since % burstStep == 0 && since / burstStep < burst.count { return .burst(burstNumber) }
        }
        let amountNumber = event / amountSlot
        if SplitMix64.at(seed ^ 0xA0, amountNumber) % amountSlot == event &- amountNumber &* amountSlot { return .amount }
        let travelNumber = event / travelSlot
        let journey = journey(travelNumber)
        if event == journey.home { return .travel(travelNumber, isAway: false) }
        if event == journey.away { return .travel(travelNumber, isAway: true) }
        return .ordinary
    }

    func isPlanted(_ event: UInt64) -> Bool { role(event) != .ordinary }
    func count(of stream: Int) -> UInt64? { options.events }
    @inline(__always) func event(_ ordinal: UInt64, of stream: Int) -> UInt64 { ordinal }

    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        writeLines(stream, from: first, by: step, count: count, into: sink)
    }

    func line(_ event: UInt64, of stream: Int, at milliseconds: Int64, into line: inout LineWriter) {
        var random = SplitMix64.stream(seed, event)
        let role = role(event)
        let card: UInt64
        var country: Int
        let amount: UInt64
        switch role {
        case .ordinary, .amount: card = ordinaryCard(event)
        case .burst(let number): card = burst(number).card
        case .travel(let number, _): card = journey(number).card
        }
        country = home(card)
        switch role {
        case .ordinary, .travel: amount = prices.value(&random, times: FraudGenerator.scales[Int(random.next() & 3)])
        case .burst: amount = prices.value(&random, times: 300)
        case .amount: amount = prices.value(&random, times: Double(Self.bigAmountFrom))
        }
        if case .travel(_, isAway: true) = role {
            country = (country &+ 1 &+ random.below(fraudCountries.count &- 1)) % fraudCountries.count
        }
        line.literal("{\"payment_id\":")
        line.decimal(event &+ 1)
        line.literal(",\"card\":\"")
        write(card: card, &line)
        line.literal("\",\"amount\":")
        let from = line.count
        line.hundredths(amount)
        line.markNumber(from: from)
        line.literal(",\"currency\":\"")
        line.literal(fraudCurrencies[country])
        line.literal("\",\"merchant\":\"")
        line.literal(fraudMerchants[random.below(fraudMerchants.count)])
        line.markText()
        line.literal("\",\"country\":\"")
        line.literal(fraudCountries[country])
        line.literal("\",\"ts\":")
        line.eventTime(milliseconds)
        line.byte(UInt8(ascii: "}"))
    }

    private var cardMask: UInt64 { (1 &<< cardBits) &- 1 }

    /// A permutation of the cards per round: multiplication by an odd number and folding the upper half onto the lower
    /// are both bijections of `cardBits` bits.
    private func ordinaryCard(_ event: UInt64) -> UInt64 {
        let round = event &>> cardBits
        let key = SplitMix64.at(seed ^ 0xC0, round)
        let half = cardBits / 2
        var card = (event ^ key) & cardMask
        card = (card &* 0x9E37_79B9_7F4A_7C15) & cardMask
        card ^= card &>> half
        card = (card &* (key | 1)) & cardMask
        return card ^ (card &>> half)
    }

    private func home(_ card: UInt64) -> Int {
        Int(SplitMix64.at(seed ^ 0xD0, card) % UInt64(fraudCountries.count))
    }

    /// `4000-0000-0000-0000` upwards; multiplying by a number prime to ten keeps numbers apart and makes them look the part.
    private func write(card: UInt64, _ line: inout LineWriter) {
        let number = 4_000_000_000_000_000 &+ card &* 104_729 % 1_000_000_000_000_000
        line.decimal(number / 1_000_000_000_000, width: 4)
        line.byte(UInt8(ascii: "-"))
        line.decimal(number / 100_000_000 % 10_000, width: 4)
        line.byte(UInt8(ascii: "-"))
        line.decimal(number / 10_000 % 10_000, width: 4)
        line.byte(UInt8(ascii: "-"))
        line.decimal(number % 10_000, width: 4)
    }

    private static let scales: InlineArray<4, Double> = [1e2, 1e3, 1e3, 5e3]
}

/// What was planted, for tests and for the demo's last line.
package struct PlantedFraud: Sendable, Equatable {
    package enum Kind: String, Sendable { case velocity, amount, travel }
    package var kind: Kind
    package var card: String
    /// The planted events among the first `options.events`.
    package var events: [UInt64]
}

extension FraudGenerator {
    /// In the order of their first events within each kind. O(events / 1,000).
    func planted(within events: UInt64) -> [PlantedFraud] {
        var found: [PlantedFraud] = []
        for number in 0..<(events / burstSlot + 1) {
            let burst = burst(number)
            let numbers = (0..<burst.count).map { burst.first + $0 * burstStep }.filter { $0 < events }
            if !numbers.isEmpty { found.append(PlantedFraud(kind: .velocity, card: text(burst.card), events: numbers)) }
        }
        for number in 0..<(events / amountSlot + 1) {
            let event = number * amountSlot + SplitMix64.at(seed ^ 0xA0, number) % amountSlot
            guard event < events && role(event) == .amount else { continue }
            found.append(PlantedFraud(kind: .amount, card: text(ordinaryCard(event)), events: [event]))
        }
        for number in 0..<(events / travelSlot + 1) {
            let journey = journey(number)
            let isWhole = role(journey.home) == .travel(number, isAway: false) && role(journey.away) == .travel(number, isAway: true)
            guard journey.away < events && isWhole else { continue }
            found.append(PlantedFraud(kind: .travel, card: text(journey.card), events: [journey.home, journey.away]))
        }
        return found
    }

    private func text(_ card: UInt64) -> String {
        let sink = ByteSink(capacity: 64)
        var line = LineWriter(sink.reserve(64))
        write(card: card, &line)
        sink.commit(line.count)
        return sink.text
    }
}

extension Generators {
    /// What `kind = 'fraud'` with these options hides in its first `options.events` events.
    package static func plantedFraud(_ options: GeneratorOptions) -> [PlantedFraud] {
        FraudGenerator(options).planted(within: options.events ?? 0)
    }
}

private let fraudCountries: InlineArray<12, StaticString> = [
    "DE", "FR", "ES", "IT", "GB", "US", "CA", "CH", "SE", "PL", "BR", "SG",
]
private let fraudCurrencies: InlineArray<12, StaticString> = [
    "EUR", "EUR", "EUR", "EUR", "GBP", "USD", "CAD", "CHF", "SEK", "PLN", "BRL", "SGD",
]
private let fraudMerchants: InlineArray<24, StaticString> = [
    "Corner Grocery", "Blue Bottle Books", "City Fuel", "Harbour Hotel", "Nordic Outdoor", "Pixel Electronics",
    "Green Pharmacy", "Old Town Bakery", "Metro Tickets", "Sunset Cinema", "Parcel Point", "Garden Centre", "Vinyl & Co",
    "Skyline Airways", "Fresh Noodles", "Atlas Travel", "Prime Sports", "Kids' Corner", "Lumen Lighting", "Tailor & Sons",
    "Café Central", "River Kayaks", "Stonebridge Tools", "Orchard Market",
]

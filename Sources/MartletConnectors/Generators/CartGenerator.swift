internal import MartletCore

/// Visitors of a shop: they look at products, put some into the cart, and order or do not.
///
/// Events come in blocks of `lanes` × 16. A lane of a block is the sixteen steps of two visitors, one after the other, a
/// step of every lane in turn; so a visit is 3 to 13 events that lie about three seconds apart (at the default rate), and
/// which step of which visit an event is follows from its number.
struct CartGenerator: LineGenerator {
    static let steps: UInt64 = 16

    let options: GeneratorOptions
    let timing: EventTiming
    let streams = ["activity"]
    private let seed: UInt64
    private let laneBits: UInt64
    private let prices = PriceTable()

    init(_ options: GeneratorOptions) {
        self.options = options
        timing = EventTiming(options)
        seed = options.seed
        laneBits = UInt64(64 - (max(3 * timing.rate, 64) - 1).leadingZeroBitCount)
    }

    enum Outcome: UInt64 { case browsed, abandoned, ordered }

    struct Visit {
        var visitor: UInt64
        var outcome: Outcome
        var length: UInt64
        /// Its first step within its lane.
        var first: UInt64
    }

    enum Action { case view, add, order }

    /// The visit which `step` of a lane belongs to; lanes are numbered through all blocks.
    private func visit(lane: UInt64, step: UInt64) -> Visit {
        var random = SplitMix64.stream(seed ^ 0x76, lane)
        let change = 3 &+ random.below(11 as UInt64)
        let isSecond = step >= change
        if isSecond { _ = random.next() }
        let chance = random.below(10 as UInt64)
        return Visit(
            visitor: 2 &* lane &+ (isSecond ? 1 : 0),
            outcome: chance < 4 ? .browsed : chance < 7 ? .abandoned : .ordered,
            length: isSecond ? Self.steps &- change : change,
            first: isSecond ? change : 0)
    }

    private func action(_ visit: Visit, _ position: UInt64) -> Action {
        switch visit.outcome {
        case .browsed: return .view
        case .ordered where position == visit.length &- 1: return .order
        case .abandoned, .ordered:
            if position == 1 { return .add }
            return position > 1 && SplitMix64.at(seed ^ visit.visitor, 0x61 &+ position) % 4 == 0 ? .add : .view
        }
    }

    /// What is looked at or added at a position of a visit, and the price of one in hundredths.
    private func item(_ visit: Visit, _ position: UInt64) -> (product: UInt64, quantity: UInt64, price: UInt64) {
        var random = SplitMix64.stream(seed ^ 0x69, visit.visitor &* Self.steps &+ position)
        let product = min(random.below(500 as UInt64), random.below(500 as UInt64))
        let quantity = random.below(8 as UInt64) == 0 ? 2 &+ random.below(3 as UInt64) : 1
        var ofProduct = SplitMix64(seed: product &+ 0x7072)
        return (product, quantity, prices.value(&ofProduct, times: product % 3 == 0 ? 3000 : 300) / 10 * 10 &+ 9)
    }

    private func place(_ event: UInt64) -> (lane: UInt64, step: UInt64) {
        let block = event &>> (laneBits &+ 4)
        let step = event &>> laneBits & (Self.steps &- 1)
        let mask = (1 as UInt64 &<< laneBits) &- 1
        // Lanes take turns in an order of their own in each step.
        let lane = (event ^ SplitMix64.at(seed ^ 0x6C, block &* Self.steps &+ step)) & mask
        return (block &<< laneBits | lane, step)
    }

    func isPlanted(_ event: UInt64) -> Bool {
        let (lane, step) = place(event)
        let visit = visit(lane: lane, step: step)
        return action(visit, step &- visit.first) != .view
    }

    func count(of stream: Int) -> UInt64? { options.events }
    @inline(__always) func event(_ ordinal: UInt64, of stream: Int) -> UInt64 { ordinal }

    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        writeLines(stream, from: first, by: step, count: count, into: sink)
    }

    func line(_ event: UInt64, of stream: Int, at milliseconds: Int64, into line: inout LineWriter) {
        let (lane, step) = place(event)
        let visit = visit(lane: lane, step: step)
        let position = step &- visit.first
        let action = action(visit, position)
        line.literal("{\"visitor\":\"v-")
        line.decimal(visit.visitor, width: max(decimalDigitCount(visit.visitor), 6))
        line.markText()
        line.literal("\",\"action\":")
        var item = item(visit, position)
        switch action {
        case .view: line.literal("\"view\"")
        case .add: line.literal("\"add\"")
        case .order:
            line.literal("\"order\"")
            (item.quantity, item.price) = total(visit)
        }
        if action == .order {
            line.literal(",\"product\":null")
        } else {
            line.literal(",\"product\":\"p-")
            line.decimal(item.product, width: 4)
            line.byte(UInt8(ascii: "\""))
        }
        line.literal(",\"quantity\":")
        let from = line.count
        line.decimal(action == .view ? 0 : item.quantity)
        line.markNumber(from: from)
        line.literal(",\"price\":")
        line.hundredths(item.price)
        line.literal(",\"ts\":")
        line.eventTime(milliseconds)
        line.byte(UInt8(ascii: "}"))
    }

    /// Pieces and their price in all that the visit put into the cart.
    private func total(_ visit: Visit) -> (quantity: UInt64, price: UInt64) {
        var quantity: UInt64 = 0
        var price: UInt64 = 0
        for position in 1..<visit.length where action(visit, position) == .add {
            let item = item(visit, position)
            quantity &+= item.quantity
            price &+= item.quantity &* item.price
        }
        return (quantity, price)
    }
}

/// A cart that was filled and left.
package struct AbandonedCart: Sendable, Equatable {
    package var visitor: String
    /// What was in it, in hundredths.
    package var value: UInt64
    /// The numbers of the events that added something, rising.
    package var events: [UInt64]
}

extension Generators {
    /// The visits of `kind = 'cart'` that add something and never order, among the whole blocks within the first
    /// `options.events` events; ordered by visitor. O(events).
    package static func abandonedCarts(_ options: GeneratorOptions) -> [AbandonedCart] {
        CartGenerator(options).abandoned(within: options.events ?? 0)
    }
}

extension CartGenerator {
    func abandoned(within events: UInt64) -> [AbandonedCart] {
        let blockSize = Self.steps &<< laneBits
        var carts: [UInt64: AbandonedCart] = [:]
        for event in 0..<(events / blockSize * blockSize) {
            let (lane, step) = place(event)
            let visit = visit(lane: lane, step: step)
            guard visit.outcome == .abandoned && action(visit, step - visit.first) == .add else { continue }
            let digits = String(visit.visitor)
            let name = "v-" + String(repeating: "0", count: max(6 - digits.count, 0)) + digits
            carts[visit.visitor, default: AbandonedCart(visitor: name, value: total(visit).price, events: [])].events.append(event)
        }
        return carts.sorted { $0.key < $1.key }.map(\.value)
    }
}

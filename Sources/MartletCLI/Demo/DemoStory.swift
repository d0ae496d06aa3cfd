import MartletConnectors

/// What one kind of demo shows: the pipeline, and what was hidden in the input for it to find.
struct DemoStory {
    var kind: GeneratorKind
    var title: String
    /// The pipeline's text, word for word `examples/<kind>.sql`.
    var pipeline: String
    /// The source, and the stream of the generator that fills it.
    var source: String
    /// What one event is called, plural.
    var events: String
    /// The column of an alert that says whom it is about.
    var subject: String
    /// One line per alert name: what it means.
    var alerts: [(name: String, meaning: String)]
    /// A result per event, for measuring the way from a line read to a result written.
    var perEvent: String
    /// Whom the alerts of a name are to be about, given the generator's options.
    var planted: @Sendable (GeneratorOptions) -> [(alert: String, what: String, subjects: Set<String>)]

    static func of(_ kind: GeneratorKind) -> DemoStory? {
        switch kind {
        case .fraud: fraud
        case .cart: cart
        case .iot: iot
        case .nexmark: nil
        }
    }

    static let fraud = DemoStory(
        kind: .fraud, title: "fraud in card payments", pipeline: DemoPipelines.fraud, source: "payments", events: "payments",
        subject: "card",
        alerts: [
            ("velocity", "more than 5 payments of a card in a minute"),
            ("amount", "a payment of 5,000 or more"),
            ("journey", "a card in two countries within a minute"),
        ],
        perEvent: "SELECT payment_id, card, amount, amount >= 5000 AS alert FROM payments",
        planted: { options in
            // A burst that the end cuts off need not be found.
            let planted = Generators.plantedFraud(options).filter { $0.kind != .velocity || $0.events.count >= 12 }
            func cards(_ kind: PlantedFraud.Kind) -> Set<String> { Set(planted.filter { $0.kind == kind }.map(\.card)) }
            return [
                ("velocity", "bursts", cards(.velocity)), ("amount", "large amounts", cards(.amount)),
                ("journey", "impossible journeys", cards(.travel)),
            ]
        })

    static let cart = DemoStory(
        kind: .cart, title: "carts that are filled and left", pipeline: DemoPipelines.cart, source: "activity",
        events: "steps of visitors", subject: "visitor",
        alerts: [("abandoned cart", "something added, nothing ordered within eight minutes")],
        perEvent: "SELECT visitor, action, quantity * price AS value FROM activity",
        planted: { options in [("abandoned cart", "abandoned carts", Set(Generators.abandonedCarts(options).map(\.visitor)))] })

    static let iot = DemoStory(
        kind: .iot, title: "machines that overheat or fall silent", pipeline: DemoPipelines.iot, source: "readings",
        events: "readings", subject: "machine_id",
        alerts: [
            ("too hot", "85 degrees or more over a minute"), ("cooled down", "back at 75 degrees or less"),
            ("was silent", "no reading for two minutes"),
        ],
        perEvent: "SELECT machine_id, temperature, temperature >= 85 AS is_hot FROM readings",
        planted: { options in
            let planted = Generators.machineTroubles(options)
            func machines(_ kind: MachineTrouble.Kind) -> Set<String> { Set(planted.filter { $0.kind == kind }.map(\.machine)) }
            return [("too hot", "overheating machines", machines(.overheating)), ("was silent", "silent machines", machines(.silence))]
        })
}

package import MartletCore

extension Generators {
    /// The columns of a stream as CREATE SOURCE would declare them, in the order of a line's fields; `nil` if the kind
    /// has no such stream.
    package static func columns(of kind: GeneratorKind, stream: String) -> [(name: String, type: DataType)]? {
        let money = DataType.numeric(precision: 12, scale: 2)
        return switch (kind, stream) {
        case (.nexmark, "person"):
            [
                ("id", .bigint), ("name", .text), ("email_address", .text), ("credit_card", .text), ("city", .text),
                ("state", .text), ("date_time", .timestamptz), ("extra", .text),
            ]
        case (.nexmark, "auction"):
            [
                ("id", .bigint), ("item_name", .text), ("description", .text), ("initial_bid", .bigint),
                ("reserve", .bigint), ("date_time", .timestamptz), ("expires", .timestamptz), ("seller", .bigint),
                ("category", .bigint), ("extra", .text),
            ]
        case (.nexmark, "bid"):
            [
                ("auction", .bigint), ("bidder", .bigint), ("price", .bigint), ("channel", .text), ("url", .text),
                ("date_time", .timestamptz), ("extra", .text),
            ]
        case (.fraud, "payments"):
            [
                ("payment_id", .bigint), ("card", .text), ("amount", money), ("currency", .text), ("merchant", .text),
                ("country", .text), ("ts", .timestamptz),
            ]
        case (.cart, "activity"):
            [
                ("visitor", .text), ("action", .text), ("product", .text), ("quantity", .integer), ("price", money),
                ("ts", .timestamptz),
            ]
        case (.iot, "readings"):
            [
                ("machine_id", .text), ("temperature", .double), ("vibration", .double), ("pressure", .double),
                ("ts", .timestamptz),
            ]
        default: nil
        }
    }
}

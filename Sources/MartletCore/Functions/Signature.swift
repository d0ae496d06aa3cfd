/// One way to call a scalar function or operator: argument types in, result type out.
package struct Signature: Hashable, Sendable {
    package enum Parameter: Hashable, Sendable {
        case exact(DataType)
        /// Any type, each argument its own (PostgreSQL's "any").
        case any
        /// All `common` arguments are brought to one type (PostgreSQL's anycompatible, and COALESCE, GREATEST …).
        case common
        /// An array whose elements are brought to the type of the `common` arguments (anycompatiblearray).
        case commonArray
        /// Any type but an array (anynonarray).
        case nonArray
        /// Any composite type.
        case record
    }

    package enum Result: Hashable, Sendable {
        case exact(DataType)
        /// The type the `common` parameters were brought to.
        case common
        case commonArray
    }

    /// PostgreSQL's provolatile. `stable` depends on the session (time zone) or the statement's time.
    package enum Volatility: Hashable, Sendable { case immutable, stable, volatile }

    package let function: ScalarFunction
    /// The SQL name or operator spelling this overload is found by.
    package let name: String
    package let parameters: [Parameter]
    /// The last parameter may appear once or more often.
    package let isVariadic: Bool
    package let result: Result
    /// NULL in any argument makes the result NULL without evaluation.
    package let isStrict: Bool
    package let volatility: Volatility
}

/// A call after overload resolution: the caller casts each argument to `arguments[i]`, then evaluates `function`.
package struct ResolvedCall: Hashable, Sendable {
    package let function: ScalarFunction
    package let signature: Signature
    package let arguments: [DataType]
    package let result: DataType
}

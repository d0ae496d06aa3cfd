internal import MartletCore

/// Gives names and types to what the parser read, against a catalog: syntax in, `Plan` and definitions out.
///
/// One binder binds one statement. It folds constants as it goes, so that `1/0` and `'abc'::int` are reported at their place.
/// Its recursion follows the syntax tree, whose height the parser bounds; what it copies (BETWEEN's operand, common table
/// expressions, views) is counted against `SQLLimits`.
struct Binder {
    let catalog: any CatalogReader
    let context: EvaluationContext
    let stack = StackGuard()
    let resolutions = Resolutions()
    /// True inside CREATE …: the query lives on, so the time of the statement means nothing.
    var isContinuous = false
    /// Common table expressions in sight, inner ones first.
    var commonTables: [CommonTable] = []
    /// The blocks around a subquery, the innermost last.
    var outerBlocks: [Block] = []
    /// Plan nodes so far, those inside views and common tables each time they are used.
    var planNodes = 0
    /// Canonical names of the relations met, each once.
    var dependencies: [String] = []
    /// `$1`, `$2`, …; nil: the statement may have none.
    var parameters: Parameters?
    /// Of the columns that an INSERT's query fills: literals and parameters without a type take them. Means the next select list.
    var wantedTypes: [DataType]?
    var inlineDepth = 0
    /// Common table expressions so far that read themselves.
    var recursionCount = 0
    /// Functions whose bodies, queries with FROM, are being bound; the innermost last.
    var functionFrames: [FunctionFrame] = []
    /// What has been accepted without effect.
    var notices: [String] = []
    /// Inside CREATE TABLE: the clock is a column (`TableColumn.now`), read when a row is made.
    var clockIsColumn = false
    /// Inside operands that need not be evaluated (CASE, COALESCE, AND, OR): a constant's error there is left to run time.
    var guardDepth = 0

    struct FunctionFrame {
        /// How many blocks are around the body, the last of which is the caller's.
        var depth: Int
        var names: [String?]
        /// Over the columns of the caller's block.
        var arguments: [Bound]
    }

    struct CommonTable {
        var name: String
        var plan: Plan
        var nodes: Int
    }

    init(catalog: any CatalogReader, context: EvaluationContext) {
        self.catalog = catalog
        self.context = context
    }

    /// Recursion ends before the thread's stack does.
    @inline(__always)
    func checkStack(at position: Int) throws(SQLError) {
        if !stack.hasRoom { throw .tooDeep(at: position) }
    }

    /// An expression with the number of its nodes, counting shared parts as often as they occur.
    struct Bound {
        var expression: Expression
        var size: Int
        /// `regclass` and the like: a BIGINT that is shown as the name of what it identifies.
        var registered: String?
        /// `$n`, as long as it has no type.
        var parameter: Int?
        /// Of ROW(…): its items as they were bound.
        var items: [Bound]?

        init(_ expression: Expression, size: Int = 1, parameter: Int? = nil) {
            self.expression = expression
            self.size = size
            self.parameter = parameter
        }

        var type: DataType { expression.type }
        /// An untyped literal: '…' or NULL.
        var isUntyped: Bool { expression.type == .unknown }
    }

    /// Copies that PostgreSQL would make too, but not without bound.
    static let expressionSizeMax = 8_000_000

    /// Counts `nodes` into the plan and returns `plan`.
    mutating func counted(_ plan: Plan, _ nodes: Int = 1, at position: Int) throws(SQLError) -> Plan {
        planNodes += nodes
        if planNodes > SQLLimits.planNodesMax {
            throw SQLError(
                .statementTooComplex, "query is too complex after views and common table expressions have been put in", at: position,
                detail: "At most \(SQLLimits.planNodesMax) plan nodes are allowed.")
        }
        return plan
    }
}

/// Answers of overload resolution, kept for the statement: long conditions ask the same again and again. One thread, one binder.
final class Resolutions {
    private struct Question: Hashable {
        var name: String
        var types: [DataType]
        var isOperator: Bool
    }

    private var answers: [Question: ResolvedCall] = [:]

    func resolve(_ name: String, _ types: [DataType], isOperator: Bool) throws(SQLError) -> ResolvedCall {
        let question = Question(name: name, types: types, isOperator: isOperator)
        if let answer = answers[question] { return answer }
        let answer = try ScalarFunction.resolve(named: name, arguments: types, isOperator: isOperator)
        answers[question] = answer
        return answer
    }
}

/// The parameters of one statement: their values, or, while it is being prepared, the types that its text asks of them.
/// One thread, one binder.
final class Parameters {
    /// By ordinal, `$1` first; nil: nothing has asked for one yet.
    private(set) var types: [DataType?]
    private let values: [Value]?

    /// For preparing; `types` are those that are given.
    init(types: [DataType?]) {
        self.types = types
        values = nil
    }

    init(types: [DataType], values: [Value]) {
        self.types = types
        self.values = values
    }

    /// While preparing, NULL of the parameter's type stands for it.
    func bound(_ number: Int, at position: Int) throws(SQLError) -> Binder.Bound {
        let index = number - 1
        if let values {
            guard index < values.count, index < types.count, let type = types[index] else {
                throw SQLError(.undefinedParameter, "there is no parameter $\(number)", at: position)
            }
            return Binder.Bound(.literal(values[index], type))
        }
        while types.count <= index { types.append(nil) }
        if let type = types[index] { return Binder.Bound(.literal(.null, type)) }
        return Binder.Bound(.literal(.null, .unknown), parameter: number)
    }

    func settle(_ number: Int, as type: DataType) {
        if type != .unknown, types[number - 1] == nil { types[number - 1] = type.withoutModifiers }
    }
}

/// Where an expression stands, for what is allowed there and what it is called in errors.
enum Clause: String {
    case select = "SELECT"
    case condition = "WHERE"
    case groupBy = "GROUP BY"
    case having = "HAVING"
    case filter = "FILTER"
    case aggregate = "aggregate function calls"
    case over = "window function calls"
    case orderBy = "ORDER BY"
    case join = "JOIN conditions"
    case values = "VALUES"
    case update = "UPDATE"
    case returning = "RETURNING"
    case fromFunction = "functions in FROM"
    case columnDefault = "DEFAULT expressions"
    case generated = "column generation expressions"
    case check = "check constraints"
    case constant = "this place"

    var allowsAggregates: Bool { self == .select || self == .having || self == .over || self == .orderBy }
    var allowsOver: Bool { self == .select || self == .orderBy }
}

/// What the expressions of one SELECT share while they are bound. Lives on one thread, inside one call of the binder.
final class Block {
    let scope: Scope
    var clause = Clause.select
    /// Aggregate calls met so far; an expression refers to the i-th as column `aggregateBase + i`.
    var aggregates: [AggregateCall] = []
    /// Calls with OVER; the i-th is column `overBase + i`.
    var overs: [BoundOver] = []
    var windows: [String: OverSyntax] = [:]
    /// Columns used outside of aggregate calls, with their places: for the error that they must appear in GROUP BY.
    var uses: [(ordinal: Int, position: Int)] = []
    /// Inside a function's body: what its parameters stand for.
    var arguments: [(name: String?, value: Binder.Bound)]?
    /// Position of the first aggregate call; nil: none.
    var firstAggregate: Int?

    /// Subqueries of expressions; the i-th is column `subqueryBase + i`.
    var subqueries: [PendingSubquery] = []
    /// What the select list reads, behind WHERE; nil: not a SELECT's.
    var input: Plan?
    /// PROCTIME() is read: as column `stampBase`.
    var usesClock = false
    /// Arrays of the set-returning calls of the select list; the i-th call's element is column `setBase + i`.
    var sets: [Expression] = []
    /// Calls of GROUPING; the i-th is column `groupingBase + i`.
    var groupings: [(arguments: [Expression], position: Int)] = []

    static let aggregateBase = 1 << 40
    static let overBase = 1 << 41

    init(scope: Scope) { self.scope = scope }
}

struct BoundOver {
    var call: OverCall
    var partition: [Expression]
    var order: [SortKey]
    var position: Int
}

import MartletCore
import MartletSQL
import Testing

@Suite("psql's variables")
struct SubstitutionTests {
    private let variables = ["path": "it's.csv", "n": "5", "column": "a\"b", "back": "a\\b"]

    @Test(
        "are put in outside of strings, names and comments",
        arguments: [
            ("SELECT :n", "SELECT 5"), ("SELECT :'path'", "SELECT 'it''s.csv'"), ("SELECT :\"column\"", "SELECT \"a\"\"b\""),
            ("SELECT :'back'", "SELECT  E'a\\\\b'"), ("SELECT 1::int", "SELECT 1::int"), ("SELECT ':n'", "SELECT ':n'"),
            ("SELECT \":n\"", "SELECT \":n\""), ("-- :n\n:n", "-- :n\n5"), ("/* :n /* */ :n */:n", "/* :n /* */ :n */5"),
            ("$$:n$$ $a$:n$$:n$a$ :n", "$$:n$$ $a$:n$$:n$a$ 5"), ("E'\\':n' :n", "E'\\':n' 5"), ("a := :n", "a := 5"),
            ("x[1:2]", "x[1:2]"), ("'it''s :n' :n", "'it''s :n' 5"), (":n:n", "55"), ("é :n", "é 5"), (":", ":"), ("::", "::"),
        ])
    func substitutes(text: String, expected: String) throws {
        #expect(try Substitution.applied(to: text, variables: variables) == expected)
    }

    @Test("a variable without a value is named, with its place")
    func missing() {
        let error = #expect(throws: SQLError.self) { try Substitution.applied(to: "SELECT 'é', :'paht'", variables: variables) }
        #expect(error?.message == "variable \"paht\" has no value")
        #expect(error?.hint == "Perhaps you meant \"path\".")
        #expect(error?.position == 13)
        #expect(error?.state == .undefinedParameter)
    }
}

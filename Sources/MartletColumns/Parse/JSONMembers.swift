/// Where the members of a JSON object are, without making values of them: for envelopes around rows.
package enum JSONMembers {
    package struct Member {
        /// As written, escapes and all.
        package var name: String
        /// From the start of the record.
        package var value: Range<Int>
    }

    /// A record that is no JSON object, and at which of its bytes that shows.
    package struct Failure: Error, Sendable {
        package var reason: RejectReason
        package var message: String
        package var at: Int
    }

    /// The members of the object that is all of `record[range]`, in order. The grammar of everything in it is checked, UTF-8 is
    /// not. The record lies in one line: a line feed follows it, and 64 readable bytes that.
    package static func of(
        _ record: UnsafePointer<UInt8>, _ range: Range<Int>, depthMax: Int
    ) throws(Failure) -> [Member] {
        do throws(ScanFailure) {
            var members: [Member] = []
            let end = record + range.upperBound
            var p = skipBlanks(record + range.lowerBound)
            guard p.pointee == Ascii.openBrace else { throw ScanFailure(p, "expected an object") }
            p = skipBlanks(p + 1)
            if p.pointee == Ascii.closeBrace {
                p += 1
            } else {
                while true {
                    guard p.pointee == Ascii.quote else { throw ScanFailure(p, "expected a member name in quotes") }
                    let nameEnd = try skipString(p + 1)
                    let name = String(decoding: UnsafeBufferPointer(start: p + 1, count: nameEnd - p - 2), as: UTF8.self)
                    p = skipBlanks(nameEnd)
                    guard p.pointee == Ascii.colon else { throw ScanFailure(p, "expected ':'") }
                    let value = skipBlanks(p + 1)
                    p = try skipValue(value, depth: 1, depthMax: depthMax)
                    members.append(Member(name: name, value: (value - record)..<(p - record)))
                    p = skipBlanks(p)
                    if p.pointee == Ascii.comma { p = skipBlanks(p + 1) } else { break }
                }
                guard p.pointee == Ascii.closeBrace else { throw ScanFailure(p, "expected ',' or '}'") }
                p += 1
            }
            p = skipBlanks(p)
            guard p >= end else { throw ScanFailure(p, "expected the end of the record") }
            return members
        } catch {
            throw Failure(reason: error.reason, message: "\(error.message)", at: error.at - record)
        }
    }
}

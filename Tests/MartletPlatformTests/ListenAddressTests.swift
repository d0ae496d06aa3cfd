import MartletPlatform
import Testing

@Suite("Addresses to listen on")
struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:9464", "127.0.0.1", 9464), ("[::1]:80", "::1", 80), (":0", "", 0), ("localhost:65535", "localhost", 65535),
    ] as [(String, String, UInt16)])
    func good(text: String, host: String, port: UInt16) throws {
        let address = try ListenAddress(parsing: text)
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(arguments: [
        ("", "the port is missing"), ("9464", "the port is missing"), ("localhost:", "the port is missing"),
        ("a:b", "the port is a number from 0 to 65535"), ("a:65536", "the port is a number from 0 to 65535"),
        ("a:-1", "the port is a number from 0 to 65535"), ("a:+1", "the port is a number from 0 to 65535"),
        ("::1:80", "an IPv6 address needs brackets"), ("[::1:80", "the bracket is not closed before the port"),
        ("[]:80", "the bracket is not closed before the port"), ("a b:80", "the address holds a blank or a control character"),
        ("a\0:80", "the address holds a blank or a control character"),
    ])
    func bad(text: String, reason: String) {
        let error = #expect(throws: ListenError.self) { try ListenAddress(parsing: text) }
        #expect(error?.message == "\"\(text)\" is not an address to listen on: \(reason)")
        #expect(error?.hint == "Write ADDR:PORT, as in 127.0.0.1:9464 or [::1]:9464.")
    }
}

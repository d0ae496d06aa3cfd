// PostgreSQL's frontend/backend protocol 3.0 and 3.2 (manual, chapter "Frontend/Backend Protocol"), without sockets,
// threads or a database.
//
// - `Wire/`: messages as bytes. `FrontendMessage` reads what clients say, `MessageWriter` writes what they are told.
// - `Types/`: the object identifiers of our types and the text and binary forms of values.
// - `Copy/`: the three formats of COPY, row by row, from pieces of any size.
// - `Session/`: `Conversation`, one client's state machine, which asks a `WireSession` for whatever needs a database.
// - `Client/`: the other side, for the shell and for tests.
//
// What users may rely on is in docs/wire.md.
//
// No byte from a client reaches a trap: lengths are checked before they are used, texts are validated as UTF-8, and what
// makes no sense is answered with 08P01.

/// MartletPlatform: the real side of Core's seams, for Linux. Files (`SystemDisk`), time (`SystemClock`), randomness
/// (`SystemEntropy`), threads and the ways they wait for each other (`WorkerThread`, `WakeSignal`, `Barrier`), stop
/// signals, facts about terminal and process, and the HTTP listener over libevent.
///
/// The only target that reads the wall clock, opens a file or meets a socket. Nothing in it knows of rows or SQL.

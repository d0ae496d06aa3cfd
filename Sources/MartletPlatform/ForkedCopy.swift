internal import CMartletLinux
internal import CMartletPager
internal import Glibc
package import MartletCore
internal import Synchronization

/// A copy of this process (fork) that carries out one piece of work on the memory as it was, while this process goes on. The
/// kernel copies what either side writes to afterwards, page by page.
///
/// The copy has one thread. A lock that another thread held at the moment of the fork stays held in it for ever, so its work
/// is plain code over memory that nobody was changing: it may allocate, and use the files that were kept for it, but takes no
/// lock, starts no thread, logs nothing. Where it hangs all the same, `wait` ends it.
///
/// What is in memory and in the pager's file stays as it was for the copy until `wait` has returned, which is therefore called
/// for every copy.
///
/// It dies with the thread that forked it, and so with this process, however that ends.
package final class ForkedCopy: Sendable {
    private let process: Int32
    private let pipe: Int32
    /// A process id means this copy only until it has been waited for.
    private let isGone = Mutex(false)

    /// What the work tells its parent with.
    package struct Channel {
        fileprivate let descriptor: Int32

        /// "Still at it": `wait` counts its patience from here.
        package func progress() { send([ForkedCopy.progressMark]) }

        fileprivate func send(_ bytes: [UInt8]) {
            while Glibc.write(descriptor, bytes, bytes.count) < 0, errno == EINTR {}
        }
    }

    private static let progressMark: UInt8 = 0
    private static let messageMark: UInt8 = 1
    /// So much goes into a pipe whole or not at all.
    private static let messageBytesMax = Int(PIPE_BUF) - 1

    /// Forks. `work` runs in the copy, with `file` open and every other descriptor closed; what it returns, at most 4,095
    /// bytes of it, is `wait`'s answer.
    package init(keeping file: SystemFile, _ work: (Channel) -> [UInt8]) throws(IOError) {
        var ends: [Int32] = [0, 0]
        let made = martlet_pipe(&ends)
        guard made == 0 else { throw IOError("make a pipe for", path: "a copy of the process", errno: -made) }
        let parent = getpid()
        // State that lies in a file is read by the copy where it lies.
        let kept = [file.number, ends[1], martlet_pager_descriptor()].filter { $0 >= 0 }.sorted()
        martlet_pager_before_fork()
        let child = martlet_fork()
        martlet_pager_after_fork(child)
        if child == 0 {
            martlet_become_copy(parent, kept, Int32(kept.count))
            martlet_pager_become_copy()
            martlet_arena_become_copy()
            let channel = Channel(descriptor: ends[1])
            // Until then whoever writes to them in the parent waits for a page to be copied, so this gives way to nobody.
            while martlet_arena_unshare() != 0 { channel.progress() }
            martlet_stand_back()
            channel.send([ForkedCopy.messageMark] + work(channel).prefix(ForkedCopy.messageBytesMax))
            _exit(0)
        }
        close(ends[1])
        guard child > 0 else {
            close(ends[0])
            throw IOError("fork", path: "a copy of the process", errno: -child)
        }
        process = child
        pipe = ends[0]
    }

    deinit {
        cancel()
        close(pipe)
    }

    /// Ends the copy now. Any thread.
    package func cancel() {
        isGone.withLock { isGone in if !isGone { kill(process, SIGKILL) } }
    }

    /// Waits for the copy's end. Nil: it ended without its message, on its own or by `cancel`, or because nothing was heard of
    /// it for `patienceMillis`. One thread, once.
    package func wait(patienceMillis: Int32) -> [UInt8]? {
        var heard: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var request = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            let ready = poll(&request, 1, patienceMillis)
            if ready == 0 {
                cancel()
                break
            }
            if ready < 0 { continue }
            let count = read(pipe, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            // Marks of progress have said what they had to say.
            heard += heard.isEmpty ? buffer[..<count].drop { $0 == ForkedCopy.progressMark } : buffer[..<count]
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        isGone.withLock { $0 = true }
        martlet_pager_copy_ended()
        return heard.isEmpty ? nil : Array(heard.dropFirst())
    }
}

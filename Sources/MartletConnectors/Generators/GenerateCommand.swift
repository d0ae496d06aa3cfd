package import MartletCore
internal import MartletPlatform
internal import Synchronization

/// `martlet generate`: writes a generator's events to `DIR/<stream>-<k>.ndjson`.
///
/// The events of a stream are dealt to its files in turn, so that the files are equal and each covers the whole time.
package struct GenerateCommand: Sendable {
    package var options: GeneratorOptions
    /// Created if missing; files in it are replaced.
    package var directory: String
    /// Files per stream.
    package var files: Int

    package init(options: GeneratorOptions, directory: String, files: Int = 1) {
        self.options = options
        self.directory = directory
        self.files = files
    }

    package struct WrittenFile: Sendable, Equatable {
        package var path: String
        package var events: UInt64
        /// Repeated events have two lines.
        package var lines: UInt64
        package var bytes: Int64
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// The options cannot be had.
        case options(GeneratorError)
        /// Writing failed; files may be there in part.
        case output(IOError)

        package var description: String {
            switch self {
            case .options(let error): error.description
            case .output(let error): error.description
            }
        }
    }

    /// Events a thread makes between two looks at how much it has to write.
    private static let batch = 1024
    private static let flushBytes = 1 << 20

    /// Returns when all files are written, streams in order and their files by number. `threads` work on whole files.
    package func run(on disk: any Disk, threads: Int = WorkerThread.coreCount) throws(Failure) -> [WrittenFile] {
        let generator: any EventGenerator
        do throws(GeneratorError) {
            guard options.events != nil else { throw GeneratorError("generate needs the number of events") }
            guard files >= 1 && files <= 10_000 else { throw GeneratorError("files is between 1 and 10000") }
            generator = try Generators.make(options)
        } catch { throw .options(error) }
        do throws(IOError) { try disk.makeDirectories(directory) } catch { throw .output(error) }

        let work = Work(generator: generator, disk: disk, directory: directory, files: files)
        var workers: [WorkerThread] = []
        for number in 1..<max(min(threads, work.total), 1) {
            // Without more threads this one does it all.
            guard let worker = try? WorkerThread(name: "generate-\(number)", { work.run() }) else { break }
            workers.append(worker)
        }
        work.run()
        for worker in workers { worker.join() }
        let (written, failure) = work.outcome.withLock { ($0.written, $0.failure) }
        if let failure { throw .output(failure) }
        return written.compactMap { $0 }
    }

    /// The files to be written, taken one after the other by whoever is free.
    private final class Work: Sendable {
        struct Outcome {
            var written: [WrittenFile?]
            var failure: IOError?
        }

        let generator: any EventGenerator
        let disk: any Disk
        let directory: String
        let files: Int
        let total: Int
        let next = Atomic<Int>(0)
        let outcome: Mutex<Outcome>

        init(generator: any EventGenerator, disk: any Disk, directory: String, files: Int) {
            self.generator = generator
            self.disk = disk
            self.directory = directory
            self.files = files
            total = generator.streams.count * files
            outcome = Mutex(Outcome(written: Array(repeating: nil, count: total)))
        }

        func run() {
            let sink = ByteSink(capacity: flushBytes + 2 * batch * LineWriter.lineBytesMax)
            while true {
                let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard task < total && outcome.withLock({ $0.failure == nil }) else { return }
                do throws(IOError) {
                    let file = try write(stream: task / files, file: task % files, through: sink)
                    outcome.withLock { $0.written[task] = file }
                } catch {
                    outcome.withLock { $0.failure = $0.failure ?? error }
                    return
                }
            }
        }

        private func write(stream: Int, file: Int, through sink: ByteSink) throws(IOError) -> WrittenFile {
            let path = "\(directory)/\(generator.streams[stream])-\(file).ndjson"
            let output = try disk.open(path, .replace)
            let ofStream = generator.count(of: stream) ?? 0
            let events = (ofStream + UInt64(files - 1 - file)) / UInt64(files)
            var written = WrittenFile(path: path, events: events, lines: 0, bytes: 0)
            var done: UInt64 = 0
            sink.clear()
            while done < events {
                let count = Int(min(events - done, UInt64(batch)))
                let first = done * UInt64(files) + UInt64(file)
                written.lines += UInt64(generator.write(stream, from: first, by: UInt64(files), count: count, into: sink))
                done += UInt64(count)
                if sink.count >= flushBytes || done == events {
                    try output.append(sink.bytes)
                    written.bytes += Int64(sink.count)
                    sink.clear()
                }
            }
            return written
        }
    }
}

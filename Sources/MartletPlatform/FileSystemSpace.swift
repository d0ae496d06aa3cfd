internal import Glibc

/// Bytes of the file system that `path` is on: all, and those that this process could still fill. nil if it cannot be said.
/// May block.
package func fileSystemSpace(at path: String) -> (total: Int64, usable: Int64)? {
    var facts = statvfs()
    guard statvfs(path, &facts) == 0 else { return nil }
    let block = Int64(facts.f_frsize)
    return (Int64(facts.f_blocks) &* block, Int64(facts.f_bavail) &* block)
}

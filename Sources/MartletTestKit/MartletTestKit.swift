/// MartletTestKit: what tests stand on. Simulated seams (`SimulatedClock`, `SimulatedDisk`, `SimulatedNetwork`,
/// `SeededEntropy`), the `Trace` that tells whether two runs of a seed were the same run, and golden files.
///
/// The simulated seams are for one thread at a time, in virtual time: given a seed and a deterministic program between
/// them, everything happens again. Never linked into the product.

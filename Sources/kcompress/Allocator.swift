import Glibc

/// Makes the C library keep freed memory for the next allocation. A network's activations come and go with every layer; by
/// default each of them is fetched from the system page by page and given back, which takes a third of the engine's time.
enum Allocator {
  static func keepFreedMemory() {
    // The largest threshold that glibc takes; both must be set, or neither has an effect.
    _ = mallopt(M_MMAP_THRESHOLD, 32 << 20)
    _ = mallopt(M_TRIM_THRESHOLD, 512 << 20)
  }
}

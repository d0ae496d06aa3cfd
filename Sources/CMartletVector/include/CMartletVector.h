#ifndef C_MARTLET_VECTOR_H
#define C_MARTLET_VECTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

/// Bit i of the answer is set where byte i of the 32 bytes at `p` equals `byte`. Reads exactly 32 bytes.
static inline uint32_t martlet_match32(const void *p, uint8_t byte) {
#if defined(__AVX2__)
    __m256i block = _mm256_loadu_si256((const __m256i *)p);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(block, _mm256_set1_epi8((char)byte)));
#elif defined(__SSE2__)
    __m128i low = _mm_loadu_si128((const __m128i *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)p + 1);
    __m128i want = _mm_set1_epi8((char)byte);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(low, want))
        | ((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(high, want)) << 16);
#else
    uint32_t mask = 0;
    for (int i = 0; i < 32; i++) mask |= (uint32_t)(((const uint8_t *)p)[i] == byte) << i;
    return mask;
#endif
}

/// Bit i is set where byte i of the 32 bytes at `p` ends or interrupts a JSON string: `"`, `\` or below 0x20.
static inline uint32_t martlet_string_stop32(const void *p) {
#if defined(__AVX2__)
    __m256i block = _mm256_loadu_si256((const __m256i *)p);
    __m256i quote = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('"'));
    __m256i slash = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, slash), control));
#elif defined(__SSE2__)
    uint32_t mask = 0;
    for (int half = 0; half < 2; half++) {
        __m128i block = _mm_loadu_si128((const __m128i *)p + half);
        __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
        __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
        mask |= (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control)) << (16 * half);
    }
    return mask;
#else
    uint32_t mask = 0;
    for (int i = 0; i < 32; i++) {
        uint8_t c = ((const uint8_t *)p)[i];
        mask |= (uint32_t)(c == '"' || c == '\\' || c < 0x20) << i;
    }
    return mask;
#endif
}

/// The same of the 64 bytes at `p`.
static inline uint64_t martlet_string_stop64(const void *p) {
    return (uint64_t)martlet_string_stop32(p) | (uint64_t)martlet_string_stop32((const uint8_t *)p + 32) << 32;
}

/// Bit i is set where byte i of the 32 bytes at `left` equals byte i of the 32 bytes at `right`.
static inline uint32_t martlet_equal32(const void *left, const void *right) {
#if defined(__AVX2__)
    __m256i a = _mm256_loadu_si256((const __m256i *)left);
    __m256i b = _mm256_loadu_si256((const __m256i *)right);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
#elif defined(__SSE2__)
    uint32_t mask = 0;
    for (int half = 0; half < 2; half++) {
        __m128i a = _mm_loadu_si128((const __m128i *)left + half);
        __m128i b = _mm_loadu_si128((const __m128i *)right + half);
        mask |= (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) << (16 * half);
    }
    return mask;
#else
    uint32_t mask = 0;
    for (int i = 0; i < 32; i++) mask |= (uint32_t)(((const uint8_t *)left)[i] == ((const uint8_t *)right)[i]) << i;
    return mask;
#endif
}

/// Bit i is set where byte i of the 32 bytes at `p` equals one of three bytes.
static inline uint32_t martlet_match3_32(const void *p, uint8_t first, uint8_t second, uint8_t third) {
    return martlet_match32(p, first) | martlet_match32(p, second) | martlet_match32(p, third);
}

/// Asks for the cache line at `p`, which is about to be read and written; any address will do.
static inline void martlet_prefetch(const void *p) {
    __builtin_prefetch(p, 1, 3);
}

/// Whether no byte has its high bit set. Stops early, at some distance after the first that has.
static inline bool martlet_is_ascii(const void *p, size_t length) {
    const uint8_t *at = (const uint8_t *)p;
    const uint8_t *end = at + length;
#if defined(__AVX2__)
    for (; end - at >= 128; at += 128) {
        __m256i first = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)at), _mm256_loadu_si256((const __m256i *)at + 1));
        __m256i second = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)at + 2), _mm256_loadu_si256((const __m256i *)at + 3));
        if (_mm256_movemask_epi8(_mm256_or_si256(first, second)) != 0) return false;
    }
#endif
    uint8_t high = 0;
    for (; at < end; at++) high |= *at;
    return high < 0x80;
}

#endif

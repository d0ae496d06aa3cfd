#ifndef C_MARTLET_COMPRESSION_H
#define C_MARTLET_COMPRESSION_H
#include <stddef.h>
#include <stdint.h>

// The compressions of Kafka's record batches, numbered as in a batch's attributes, over zlib, snappy, lz4 and zstd.
// No type or header of those libraries shows here.

enum { MARTLET_GZIP = 1, MARTLET_SNAPPY = 2, MARTLET_LZ4 = 3, MARTLET_ZSTD = 4 };

typedef enum {
    MARTLET_CODEC_OK = 0,
    /// The input is not what the codec writes, or ends too early, or is followed by something else.
    MARTLET_CODEC_CORRUPT = 1,
    /// The output would be larger than the limit; not more than the limit was allocated.
    MARTLET_CODEC_OVER_LIMIT = 2,
    MARTLET_CODEC_NO_MEMORY = 3,
} martlet_codec_status;

/// Contexts of the libraries and an output buffer, reused from call to call. One thread at a time.
typedef struct martlet_codec martlet_codec;

/// NULL when out of memory.
martlet_codec *martlet_codec_new(void);
void martlet_codec_free(martlet_codec *codec);
/// Gives the buffer back if it is larger than `retained_max`.
void martlet_codec_trim(martlet_codec *codec, size_t retained_max);

/// Decompresses all of `source` into the codec's buffer, at most `limit` bytes. A size that the input declares is only a
/// hint, and never above the limit. `*output` is valid until the next call with this codec.
/// Snappy: with or without the framing of Java's xerial library.
martlet_codec_status martlet_codec_decompress(
    martlet_codec *codec, int kind, const void *source, size_t source_size, size_t limit, const uint8_t **output,
    size_t *output_size);

/// Compresses `source` into the codec's buffer, in the form that every Kafka client reads. `level` 0: the library's default;
/// snappy has none.
martlet_codec_status martlet_codec_compress(
    martlet_codec *codec, int kind, int level, const void *source, size_t source_size, const uint8_t **output,
    size_t *output_size);

#endif

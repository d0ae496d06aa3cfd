#include "CMartletCompression.h"
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct martlet_codec {
    uint8_t *bytes;
    size_t capacity;
    ZSTD_DCtx *zstd_reader;
    ZSTD_CCtx *zstd_writer;
    LZ4F_dctx *lz4_reader;
    z_stream gzip_reader, gzip_writer;
    int has_gzip_reader, gzip_writer_level;
    int has_gzip_writer;
};

martlet_codec *martlet_codec_new(void) { return calloc(1, sizeof(martlet_codec)); }

void martlet_codec_free(martlet_codec *codec) {
    if (!codec) return;
    free(codec->bytes);
    ZSTD_freeDCtx(codec->zstd_reader);
    ZSTD_freeCCtx(codec->zstd_writer);
    LZ4F_freeDecompressionContext(codec->lz4_reader);
    if (codec->has_gzip_reader) inflateEnd(&codec->gzip_reader);
    if (codec->has_gzip_writer) deflateEnd(&codec->gzip_writer);
    free(codec);
}

void martlet_codec_trim(martlet_codec *codec, size_t retained_max) {
    if (codec->capacity <= retained_max) return;
    free(codec->bytes);
    codec->bytes = NULL;
    codec->capacity = 0;
}

/// Room for `wanted` bytes, keeping the first `used`.
static martlet_codec_status reserve(martlet_codec *codec, size_t used, size_t wanted) {
    if (wanted <= codec->capacity) return MARTLET_CODEC_OK;
    if (used == 0) {
        // Nothing to keep: no copy.
        free(codec->bytes);
        codec->bytes = NULL;
        codec->capacity = 0;
    }
    uint8_t *grown = realloc(codec->bytes, wanted);
    if (!grown) return MARTLET_CODEC_NO_MEMORY;
    codec->bytes = grown;
    codec->capacity = wanted;
    return MARTLET_CODEC_OK;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/// A first guess at the output's size: four times the input, within the limit.
static size_t first_size(size_t source_size, size_t limit) {
    size_t guess = source_size > SIZE_MAX / 8 ? source_size : source_size * 4;
    return larger(smaller(larger(guess, 16384), limit), 1);
}

/// The next size for output that has reached `size` and is not complete; OVER_LIMIT at the limit.
static martlet_codec_status grow(martlet_codec *codec, size_t used, size_t limit) {
    if (used >= limit) return MARTLET_CODEC_OVER_LIMIT;
    size_t doubled = used > SIZE_MAX / 2 ? limit : used * 2;
    return reserve(codec, used, smaller(larger(doubled, 16384), limit));
}

static martlet_codec_status gzip_decompress(martlet_codec *codec, const uint8_t *source, size_t size, size_t limit, size_t *done) {
    z_stream *stream = &codec->gzip_reader;
    if (!codec->has_gzip_reader) {
        // 15 bits of window, plus 16: a gzip header and trailer.
        if (inflateInit2(stream, 15 + 16) != Z_OK) return MARTLET_CODEC_NO_MEMORY;
        codec->has_gzip_reader = 1;
    } else if (inflateReset(stream) != Z_OK) {
        return MARTLET_CODEC_CORRUPT;
    }
    martlet_codec_status status = reserve(codec, 0, first_size(size, limit));
    if (status) return status;
    size_t taken = 0, used = 0;
    for (;;) {
        size_t room = smaller(codec->capacity, limit) - used;
        // With no room left a byte aside still tells whether the stream ends here.
        uint8_t beyond;
        stream->next_in = (Bytef *)(source + taken);
        stream->avail_in = (uInt)smaller(size - taken, 1u << 30);
        stream->next_out = room ? codec->bytes + used : &beyond;
        stream->avail_out = room ? (uInt)smaller(room, 1u << 30) : 1;
        uInt offered_in = stream->avail_in, offered_out = stream->avail_out;
        int result = inflate(stream, Z_NO_FLUSH);
        taken += offered_in - stream->avail_in;
        size_t written = offered_out - stream->avail_out;
        if (!room && written) {
            status = grow(codec, used, limit);
            if (status) return status;
            codec->bytes[used] = beyond;
        }
        used += written;
        if (result == Z_STREAM_END) {
            if (taken == size) break;
            // Another member follows, as gzip allows.
            if (inflateReset(stream) != Z_OK) return MARTLET_CODEC_CORRUPT;
            continue;
        }
        if (result == Z_MEM_ERROR) return MARTLET_CODEC_NO_MEMORY;
        if (result != Z_OK && result != Z_BUF_ERROR) return MARTLET_CODEC_CORRUPT;
        if (taken == size && stream->avail_out > 0) return MARTLET_CODEC_CORRUPT;
        if (result == Z_BUF_ERROR && written == 0 && stream->avail_out > 0) return MARTLET_CODEC_CORRUPT;
    }
    *done = used;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status lz4_decompress(martlet_codec *codec, const uint8_t *source, size_t size, size_t limit, size_t *done) {
    if (!codec->lz4_reader) {
        if (LZ4F_isError(LZ4F_createDecompressionContext(&codec->lz4_reader, LZ4F_VERSION))) return MARTLET_CODEC_NO_MEMORY;
    } else {
        LZ4F_resetDecompressionContext(codec->lz4_reader);
    }
    martlet_codec_status status = reserve(codec, 0, first_size(size, limit));
    if (status) return status;
    size_t taken = 0, used = 0;
    for (;;) {
        size_t room = smaller(codec->capacity, limit) - used;
        uint8_t beyond;
        size_t consumed = size - taken, written = room ? room : 1;
        size_t hint = LZ4F_decompress(
            codec->lz4_reader, room ? codec->bytes + used : &beyond, &written, source + taken, &consumed, NULL);
        if (LZ4F_isError(hint)) return MARTLET_CODEC_CORRUPT;
        taken += consumed;
        if (!room && written) {
            status = grow(codec, used, limit);
            if (status) return status;
            codec->bytes[used] = beyond;
        }
        used += written;
        if (hint == 0) break;
        if (consumed == 0 && written == 0) return MARTLET_CODEC_CORRUPT;
    }
    // One frame: what follows it no other client would see.
    if (taken != size) return MARTLET_CODEC_CORRUPT;
    *done = used;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status zstd_decompress(martlet_codec *codec, const uint8_t *source, size_t size, size_t limit, size_t *done) {
    if (!codec->zstd_reader && !(codec->zstd_reader = ZSTD_createDCtx())) return MARTLET_CODEC_NO_MEMORY;
    unsigned long long declared = ZSTD_getFrameContentSize(source, size);
    if (declared == ZSTD_CONTENTSIZE_ERROR) return MARTLET_CODEC_CORRUPT;
    size_t wanted = first_size(size, limit);
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN) {
        if (declared > limit) return MARTLET_CODEC_OVER_LIMIT;
        wanted = larger((size_t)declared, 1);
    }
    // In one piece into the buffer, which needs no window of the size that the frame's header asks for. Where the size is not
    // known, each attempt has four times the room of the one before.
    for (;;) {
        martlet_codec_status status = reserve(codec, 0, wanted);
        if (status) return status;
        size_t room = smaller(codec->capacity, limit);
        size_t written = ZSTD_decompressDCtx(codec->zstd_reader, codec->bytes, room, source, size);
        if (!ZSTD_isError(written)) {
            *done = written;
            return MARTLET_CODEC_OK;
        }
        if (ZSTD_getErrorCode(written) != ZSTD_error_dstSize_tooSmall) return MARTLET_CODEC_CORRUPT;
        if (declared != ZSTD_CONTENTSIZE_UNKNOWN && room >= declared) {
            // Further frames may follow the one that declared its size; nothing else excuses more output.
            if (ZSTD_findFrameCompressedSize(source, size) == size) return MARTLET_CODEC_CORRUPT;
        }
        if (room >= limit) return MARTLET_CODEC_OVER_LIMIT;
        wanted = smaller(room > SIZE_MAX / 4 ? limit : room * 4, limit);
    }
}

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
/// Magic, version and the oldest compatible version, each a big-endian 32-bit number.
enum { XERIAL_HEADER = 16, XERIAL_BLOCK = 32 * 1024 };

static size_t read_big32(const uint8_t *at) {
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

static void write_big32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/// One raw block, appended at `*used`.
static martlet_codec_status snappy_block(martlet_codec *codec, const uint8_t *source, size_t size, size_t limit, size_t *used) {
    size_t declared;
    if (snappy_uncompressed_length((const char *)source, size, &declared) != SNAPPY_OK) return MARTLET_CODEC_CORRUPT;
    // The densest element copies 64 bytes and takes 3: a declaration beyond that is a lie, and is not allocated for.
    if (declared / 22 > size) return MARTLET_CODEC_CORRUPT;
    if (declared > limit - *used) return MARTLET_CODEC_OVER_LIMIT;
    size_t needed = *used + declared;
    if (needed > codec->capacity) {
        size_t doubled = codec->capacity > SIZE_MAX / 2 ? needed : codec->capacity * 2;
        martlet_codec_status status = reserve(codec, *used, larger(needed, smaller(doubled, limit)));
        if (status) return status;
    }
    size_t written = declared;
    if (snappy_uncompress((const char *)source, size, (char *)codec->bytes + *used, &written) != SNAPPY_OK || written != declared) {
        return MARTLET_CODEC_CORRUPT;
    }
    *used = needed;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status snappy_decompress(martlet_codec *codec, const uint8_t *source, size_t size, size_t limit, size_t *done) {
    martlet_codec_status status = reserve(codec, 0, first_size(size, limit));
    if (status) return status;
    size_t used = 0;
    if (size < XERIAL_HEADER || memcmp(source, xerial_magic, sizeof xerial_magic) != 0) {
        status = snappy_block(codec, source, size, limit, &used);
        *done = used;
        return status;
    }
    size_t at = XERIAL_HEADER;
    while (at < size) {
        if (size - at < 4) return MARTLET_CODEC_CORRUPT;
        size_t length = read_big32(source + at);
        at += 4;
        if (length > size - at) return MARTLET_CODEC_CORRUPT;
        status = snappy_block(codec, source + at, length, limit, &used);
        if (status) return status;
        at += length;
    }
    *done = used;
    return MARTLET_CODEC_OK;
}

martlet_codec_status martlet_codec_decompress(
    martlet_codec *codec, int kind, const void *source, size_t source_size, size_t limit, const uint8_t **output,
    size_t *output_size) {
    size_t done = 0;
    martlet_codec_status status = MARTLET_CODEC_CORRUPT;
    if (source_size > 0) {
        switch (kind) {
        case MARTLET_GZIP: status = gzip_decompress(codec, source, source_size, limit, &done); break;
        case MARTLET_SNAPPY: status = snappy_decompress(codec, source, source_size, limit, &done); break;
        case MARTLET_LZ4: status = lz4_decompress(codec, source, source_size, limit, &done); break;
        case MARTLET_ZSTD: status = zstd_decompress(codec, source, source_size, limit, &done); break;
        default: break;
        }
    }
    *output = codec->bytes;
    *output_size = status == MARTLET_CODEC_OK ? done : 0;
    return status;
}

static martlet_codec_status gzip_compress(martlet_codec *codec, int level, const uint8_t *source, size_t size, size_t *done) {
    z_stream *stream = &codec->gzip_writer;
    if (level == 0) level = Z_DEFAULT_COMPRESSION;
    if (codec->has_gzip_writer && codec->gzip_writer_level != level) {
        deflateEnd(stream);
        codec->has_gzip_writer = 0;
    }
    if (!codec->has_gzip_writer) {
        memset(stream, 0, sizeof *stream);
        if (deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return MARTLET_CODEC_NO_MEMORY;
        codec->has_gzip_writer = 1;
        codec->gzip_writer_level = level;
    } else if (deflateReset(stream) != Z_OK) {
        return MARTLET_CODEC_NO_MEMORY;
    }
    // A batch is at most 2 GiB, so sizes fit zlib's 32-bit counters.
    martlet_codec_status status = reserve(codec, 0, deflateBound(stream, size));
    if (status) return status;
    stream->next_in = (Bytef *)source;
    stream->avail_in = (uInt)size;
    stream->next_out = codec->bytes;
    stream->avail_out = (uInt)smaller(codec->capacity, UINT32_MAX);
    if (deflate(stream, Z_FINISH) != Z_STREAM_END) return MARTLET_CODEC_NO_MEMORY;
    *done = stream->total_out;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status snappy_compress_framed(martlet_codec *codec, const uint8_t *source, size_t size, size_t *done) {
    size_t blocks = (size + XERIAL_BLOCK - 1) / XERIAL_BLOCK;
    martlet_codec_status status =
        reserve(codec, 0, XERIAL_HEADER + blocks * (4 + snappy_max_compressed_length(XERIAL_BLOCK)));
    if (status) return status;
    memcpy(codec->bytes, xerial_magic, sizeof xerial_magic);
    write_big32(codec->bytes + 8, 1);
    write_big32(codec->bytes + 12, 1);
    size_t used = XERIAL_HEADER;
    for (size_t at = 0; at < size; at += XERIAL_BLOCK) {
        size_t length = snappy_max_compressed_length(XERIAL_BLOCK);
        if (snappy_compress(
                (const char *)source + at, smaller(XERIAL_BLOCK, size - at), (char *)codec->bytes + used + 4, &length)
            != SNAPPY_OK) {
            return MARTLET_CODEC_NO_MEMORY;
        }
        write_big32(codec->bytes + used, (uint32_t)length);
        used += 4 + length;
    }
    *done = used;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status lz4_compress(martlet_codec *codec, int level, const uint8_t *source, size_t size, size_t *done) {
    // Independent blocks of 64 KiB and no checksum: what Java's client can read.
    LZ4F_preferences_t preferences;
    memset(&preferences, 0, sizeof preferences);
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level;
    martlet_codec_status status = reserve(codec, 0, LZ4F_compressFrameBound(size, &preferences));
    if (status) return status;
    size_t written = LZ4F_compressFrame(codec->bytes, codec->capacity, source, size, &preferences);
    if (LZ4F_isError(written)) return MARTLET_CODEC_NO_MEMORY;
    *done = written;
    return MARTLET_CODEC_OK;
}

static martlet_codec_status zstd_compress(martlet_codec *codec, int level, const uint8_t *source, size_t size, size_t *done) {
    if (!codec->zstd_writer && !(codec->zstd_writer = ZSTD_createCCtx())) return MARTLET_CODEC_NO_MEMORY;
    martlet_codec_status status = reserve(codec, 0, ZSTD_compressBound(size));
    if (status) return status;
    size_t written = ZSTD_compressCCtx(
        codec->zstd_writer, codec->bytes, codec->capacity, source, size, level == 0 ? ZSTD_CLEVEL_DEFAULT : level);
    if (ZSTD_isError(written)) return MARTLET_CODEC_NO_MEMORY;
    *done = written;
    return MARTLET_CODEC_OK;
}

martlet_codec_status martlet_codec_compress(
    martlet_codec *codec, int kind, int level, const void *source, size_t source_size, const uint8_t **output,
    size_t *output_size) {
    size_t done = 0;
    martlet_codec_status status = MARTLET_CODEC_CORRUPT;
    if (source_size <= INT32_MAX) {
        switch (kind) {
        case MARTLET_GZIP: status = gzip_compress(codec, level, source, source_size, &done); break;
        case MARTLET_SNAPPY: status = snappy_compress_framed(codec, source, source_size, &done); break;
        case MARTLET_LZ4: status = lz4_compress(codec, level, source, source_size, &done); break;
        case MARTLET_ZSTD: status = zstd_compress(codec, level, source, source_size, &done); break;
        default: break;
        }
    }
    *output = codec->bytes;
    *output_size = status == MARTLET_CODEC_OK ? done : 0;
    return status;
}

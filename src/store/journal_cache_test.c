/* The cache against bytes that follow from their position: whatever was appended, read, loaded and
 * pushed out, what it answers is what the segments hold (CACHE-1, CACHE-2). */
#include "journal_cache.h"

#include "os/prng.h"
#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER       "ledger"
#define MIB          (UINT64_C(1) << 20)
#define CHUNK        ((uint64_t)JOURNAL_CACHE_CHUNK_BLOCKS * JOURNAL_CACHE_BLOCK)
#define ADD_MAX      300000u
#define READ_MAX     70000u
#define SEGMENTS_MAX 64u

struct t_world {
    struct os_disk *disk;
    struct os_sim_disk *sim;
    struct os_prng prng;
    struct journal_cache cache;
    struct journal_cache_files files; /* as another thread has them */
    uint64_t segment_size;
    uint64_t segment;            /* the newest */
    uint64_t offset;             /* where it ends */
    uint64_t ends[SEGMENTS_MAX]; /* of the older ones: behind it are zeros that no frame has */
    char *scratch;               /* ADD_MAX or READ_MAX */
};

static char
t_byte(uint64_t position)
{
    return (char)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void
t_fill(char *out, uint64_t position, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        out[i] = t_byte(position + i);
    }
}

static struct os_file *
t_segment(struct t_world *t, enum os_open_mode mode)
{
    char path[JOURNAL_PATH_SIZE];
    struct os_file *file = NULL;
    assert_true(journal_segment_path(FOLDER, t->segment, path));
    assert_int_equal(t->disk->ops->open(t->disk, path, mode, false, &file, NULL), ERR_OK);
    return file;
}

static void
t_begin_segment(struct t_world *t)
{
    t->ends[t->segment++] = t->offset;
    assert_true(t->segment < SEGMENTS_MAX);
    t->offset = 0;
    struct os_file *file = t_segment(t, OS_OPEN_CREATE);
    assert_int_equal(t->disk->ops->allocate(t->disk, file, t->segment_size), ERR_OK);
    t->disk->ops->close(t->disk, file);
}

/* Writes the bytes that the newest segment has at `offset`; leaves them in `scratch`. */
static void
t_write(struct t_world *t, uint64_t offset, uint64_t size)
{
    t_fill(t->scratch, journal_position(t->segment, offset), size);
    struct os_file *file = t_segment(t, OS_OPEN_WRITE);
    assert_int_equal(t->disk->ops->write(t->disk, file, t->scratch, size, offset), ERR_OK);
    t->disk->ops->close(t->disk, file);
}

/* Appends to the newest segment, in multiples of a frame's; `told`: the cache is given the bytes.
 */
static void
t_append(struct t_world *t, uint64_t size, bool told)
{
    if (t->offset + size > t->segment_size) {
        t_begin_segment(t);
    }
    uint64_t position = journal_position(t->segment, t->offset);
    t_write(t, t->offset, size);
    t->offset += size;
    if (told) {
        journal_cache_put(&t->cache, position, t->scratch, size);
    } else {
        t->cache.durable_end = position + size;
    }
}

static void
t_assert_bytes(const char *data, uint64_t position, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (data[i] != t_byte(position + i)) {
            fail_msg("wrong byte at %llx", (unsigned long long)(position + i));
        }
    }
}

static void
t_read(struct t_world *t, uint64_t position, uint64_t size, uint32_t how)
{
    if (how == 0) {
        const char *view = journal_cache_view(&t->cache, position, size);
        if (view != NULL) {
            t_assert_bytes(view, position, size);
        }
        return;
    }
    struct store_error error;
    memset(t->scratch, 0, size);
    err_t code =
        how == 1
            ? journal_cache_get(&t->cache, position, t->scratch, size, &error)
            : journal_cache_get_alone(&t->cache, &t->files, position, t->scratch, size, &error);
    assert_int_equal(code, ERR_OK);
    t_assert_bytes(t->scratch, position, size);
}

static void
t_read_anywhere(struct t_world *t)
{
    uint64_t segment = 1 + os_prng_below(&t->prng, t->segment);
    if (os_prng_below(&t->prng, 2) == 0) {
        segment = t->segment;
    }
    uint64_t end = segment == t->segment ? t->offset : t->ends[segment];
    if (end == 0) {
        return;
    }
    uint64_t offset = os_prng_below(&t->prng, end);
    uint64_t left = end - offset;
    uint64_t most = os_prng_below(&t->prng, 8) == 0 ? READ_MAX : 300;
    uint64_t size = 1 + os_prng_below(&t->prng, left < most ? left : most);
    uint64_t position = journal_position(segment, offset);
    uint32_t times = 1 + (uint32_t)os_prng_below(&t->prng, 3);
    for (uint32_t i = 0; i < times; i++) {
        t_read(t, position, size, (uint32_t)os_prng_below(&t->prng, 3));
    }
}

/* The same by way of reserved room: two stretches are on their way while the past is read. */
static void
t_append_beside(struct t_world *t, const uint64_t sizes[JOURNAL_CACHE_RESERVED])
{
    if (t->offset + sizes[0] + sizes[1] > t->segment_size) {
        t_begin_segment(t);
    }
    uint64_t offset = t->offset;
    for (uint32_t i = 0; i < JOURNAL_CACHE_RESERVED; i++) {
        uint64_t position = journal_position(t->segment, offset);
        assert_true(journal_cache_reserve(&t->cache, position, sizes[i]));
        t_read_anywhere(t);
        t_write(t, offset, sizes[i]);
        journal_cache_fill(&t->cache, position, t->scratch, sizes[i]);
        t_read_anywhere(t);
        offset += sizes[i];
    }
    for (uint32_t i = 0; i < JOURNAL_CACHE_RESERVED; i++) {
        uint64_t position = journal_position(t->segment, t->offset);
        assert_null(journal_cache_view(&t->cache, position, 1));
        journal_cache_publish(&t->cache, position, sizes[i]);
        assert_non_null(journal_cache_view(&t->cache, position, 1));
        t->offset += sizes[i];
        t_read_anywhere(t);
    }
}

static void
t_open(struct t_world *t, uint64_t seed, uint64_t segment_size)
{
    *t = (struct t_world){.segment_size = segment_size};
    os_prng_seed(&t->prng, seed);
    assert_int_equal(os_sim_disk_create(&(struct os_sim_disk_settings){0}, &t->sim), ERR_OK);
    t->disk = os_sim_disk_ops(t->sim);
    assert_int_equal(t->disk->ops->make_folder(t->disk, FOLDER), ERR_OK);
    /* Rounded up to one chunk, so a few MiB of history push each other out. */
    assert_int_equal(journal_cache_init(&t->cache, t->disk, FOLDER, segment_size, 1), ERR_OK);
    t->scratch = malloc(ADD_MAX);
    assert_non_null(t->scratch);
    t_begin_segment(t);
}

static void
t_close(struct t_world *t)
{
    journal_cache_files_close(&t->cache, &t->files);
    journal_cache_release(&t->cache);
    os_sim_disk_destroy(&t->sim);
    free(t->scratch);
}

/* CACHE-1, CACHE-2. */
static void
reads_are_what_was_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static struct t_world t;
        print_message("seed %llu\n", (unsigned long long)seed);
        t_open(&t, seed, seed % 3 == 0 ? 3 * MIB + 4096 : MIB);
        uint32_t appended = 0;
        for (int step = 0; step < 4000; step++) {
            if (appended < 60 && os_prng_below(&t.prng, 50) == 0) {
                uint64_t size = 4096 * (1 + os_prng_below(&t.prng, ADD_MAX / 4096));
                if (os_prng_below(&t.prng, 2) == 0) {
                    t_append_beside(
                        &t, (const uint64_t[]){size, 4096 + (size / 8 & ~UINT64_C(4095))});
                } else {
                    t_append(&t, size, os_prng_below(&t.prng, 6) != 0);
                }
                appended++;
            }
            t_read_anywhere(&t);
        }
        assert_true(t.segment > 2);
        t_close(&t);
    }
}

/* What is behind the durable end is no answer, even if the file has it. */
static void
nothing_behind_the_durable_end(void **state)
{
    (void)state;
    static struct t_world t;
    t_open(&t, 1, MIB);
    t_append(&t, 4096, true);
    struct store_error error;
    char byte = 0;
    const uint64_t end = journal_position(1, 4096);
    assert_int_equal(journal_cache_get(&t.cache, end - 1, &byte, 1, &error), ERR_OK);
    assert_null(journal_cache_view(&t.cache, end, 1));
    assert_int_equal(journal_cache_get(&t.cache, end, &byte, 1, &error), ERR_CORRUPT);
    assert_int_equal(
        journal_cache_get_alone(&t.cache, &t.files, end, &byte, 1, &error), ERR_CORRUPT);
    t_close(&t);
}

/* What two stretches could not take side by side is not reserved, and pushes nothing out. */
static void
no_room_for_large_stretches(void **state)
{
    (void)state;
    static struct t_world t;
    t_open(&t, 1, 8 * MIB);
    t_append(&t, 4096, true);
    const uint64_t most = CHUNK / JOURNAL_CACHE_PARTS - 2 * (uint64_t)JOURNAL_CACHE_BLOCK;
    const journal_position_t end = journal_position(1, 4096);
    assert_false(journal_cache_reserve(&t.cache, end, most + JOURNAL_CACHE_BLOCK));
    assert_non_null(journal_cache_view(&t.cache, end - 4096, 4096));
    assert_true(journal_cache_reserve(&t.cache, end, most));
    assert_non_null(journal_cache_view(&t.cache, end - 4096, 4096));
    t_close(&t);
}

/* CACHE-2: the newest bytes stay in memory while the past is read. */
static void
the_past_pushes_out_nothing_new(void **state)
{
    (void)state;
    static struct t_world t;
    t_open(&t, 1, MIB);
    for (int i = 0; i < 40; i++) {
        t_append(&t, 262144, true);
    }
    for (uint64_t segment = 1; segment <= t.segment; segment++) {
        for (uint64_t at = 0; at < (segment == t.segment ? t.offset : t.ends[segment]);
             at += 4096) {
            t_read(&t, journal_position(segment, at), 100, 1);
            t_read(&t, journal_position(segment, at), 100, 1);
        }
    }
    uint64_t newest = CHUNK - 2 * (uint64_t)JOURNAL_CACHE_BLOCK;
    for (uint64_t back = 4096; back <= newest; back += 4096) {
        uint64_t whole = t.segment * MIB + t.offset - back;
        assert_non_null(
            journal_cache_view(&t.cache, journal_position(whole / MIB, whole % MIB), 4096));
    }
    t_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_what_was_written),
        cmocka_unit_test(nothing_behind_the_durable_end),
        cmocka_unit_test(no_room_for_large_stretches),
        cmocka_unit_test(the_past_pushes_out_nothing_new),
    };
    return cmocka_run_group_tests_name("journal_cache", tests, NULL, NULL);
}

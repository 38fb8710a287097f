#include "journal_directory.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define FRAME       UINT64_C(32768)
#define PER_SEGMENT 500u
#define FRAMES      20000u
#define LIMIT       64u

/* Frame number i: its place, and the time of the one event in it. */
static journal_position_t
place_of(uint32_t i)
{
    return journal_position(1 + i / PER_SEGMENT, JOURNAL_BLOCK + i % PER_SEGMENT * FRAME);
}

static void
add_frame(struct journal_directory *directory, uint32_t i)
{
    assert_int_equal(journal_directory_frame(directory, place_of(i)), ERR_OK);
    journal_directory_extend(directory, place_of(i) + FRAME);
    journal_directory_event(directory, 10 + i, i % 5 == 0);
}

/* Stretches cover all frames in order, none of them two segments, each with the times of its
 * events. */
static void
must_cover(const struct journal_directory *directory, uint32_t frames)
{
    uint32_t frame = 0;
    for (uint64_t s = 0; s < directory->count; s++) {
        const struct journal_stretch *stretch = &directory->stretches[s];
        struct journal_range want[2] = {{0, 0}, {0, 0}};
        assert_true(stretch->start == place_of(frame));
        while (frame < frames && place_of(frame) < stretch->end) {
            struct journal_range *range = &want[frame % 5 == 0];
            range->first = range->first == 0 ? 10 + frame : range->first;
            range->last = 10 + frame;
            frame++;
        }
        assert_true(stretch->end == place_of(frame - 1) + FRAME);
        assert_memory_equal(&stretch->transfers, &want[0], sizeof(want[0]));
        assert_memory_equal(&stretch->expiries, &want[1], sizeof(want[1]));
    }
    assert_int_equal(frame, frames);
}

static void
memory_is_bounded(void **state)
{
    (void)state;
    struct journal_directory directory;
    journal_directory_init(&directory, LIMIT);
    for (uint32_t i = 0; i < FRAMES; i++) {
        add_frame(&directory, i);
        assert_true(directory.count <= LIMIT + FRAMES / PER_SEGMENT);
        if (i % 997 == 0) {
            must_cover(&directory, i + 1);
        }
    }
    must_cover(&directory, FRAMES);
    assert_true(directory.length > JOURNAL_STRETCH);
    journal_directory_release(&directory);
}

/* More segments than the limit: one stretch for each is left. */
static void
limit_grows_with_segments(void **state)
{
    (void)state;
    struct journal_directory directory;
    journal_directory_init(&directory, 4);
    for (uint32_t i = 0; i < FRAMES; i++) {
        add_frame(&directory, i);
    }
    must_cover(&directory, FRAMES);
    assert_in_range(directory.count, FRAMES / PER_SEGMENT, 4 * FRAMES / PER_SEGMENT);
    journal_directory_release(&directory);
}

static void
pinned_stretches_keep_their_places(void **state)
{
    (void)state;
    struct journal_directory directory;
    journal_directory_init(&directory, LIMIT);
    uint32_t i = 0;
    while (directory.count < LIMIT) {
        add_frame(&directory, i++);
    }
    directory.pinned = true;
    directory.fresh = true;
    struct journal_stretch last = directory.stretches[LIMIT - 1];
    for (uint32_t more = 0; more < 100; more++) {
        add_frame(&directory, i++);
    }
    assert_memory_equal(&directory.stretches[LIMIT - 1], &last, sizeof(last));
    directory.pinned = false;
    while (directory.count > LIMIT) {
        add_frame(&directory, i++);
    }
    must_cover(&directory, i);
    journal_directory_release(&directory);
}

static void
what_was_kept_comes_back(void **state)
{
    (void)state;
    struct journal_directory directory;
    struct journal_directory copy;
    journal_directory_init(&directory, LIMIT);
    journal_directory_init(&copy, LIMIT);
    for (uint32_t i = 0; i < 3000; i++) {
        add_frame(&directory, i);
    }
    copy.length = directory.length;
    for (uint64_t i = 0; i < directory.count; i++) {
        assert_int_equal(journal_directory_add(&copy, &directory.stretches[i]), ERR_OK);
    }
    for (uint32_t i = 3000; i < 6000; i++) {
        add_frame(&copy, i);
    }
    must_cover(&copy, 6000);
    journal_directory_clear(&copy);
    assert_int_equal(copy.count, 0);
    add_frame(&copy, 0);
    must_cover(&copy, 1);
    journal_directory_release(&directory);
    journal_directory_release(&copy);
}

static void
disorder_is_refused(void **state)
{
    (void)state;
    struct journal_directory directory;
    journal_directory_init(&directory, LIMIT);
    struct journal_stretch stretch = {
        .start = 4096, .end = 8192, .transfers = {5, 9}, .expiries = {0, 0}};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_OK);
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch = (struct journal_stretch){.start = 8192, .end = 8192};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch = (struct journal_stretch){.start = 8192, .end = 12288, .transfers = {8, 10}};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch.transfers = (struct journal_range){12, 11};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch.transfers = (struct journal_range){0, 11};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch.transfers = (struct journal_range){0, 0};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_OK);
    /* Across a stretch without any. */
    stretch = (struct journal_stretch){.start = 12288, .end = 16384, .transfers = {8, 10}};
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_CORRUPT);
    stretch.transfers.first = 9;
    assert_int_equal(journal_directory_add(&directory, &stretch), ERR_OK);
    journal_directory_release(&directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(limit_grows_with_segments),
        cmocka_unit_test(pinned_stretches_keep_their_places),
        cmocka_unit_test(what_was_kept_comes_back),
        cmocka_unit_test(disorder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

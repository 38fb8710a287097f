/* The text of maps: what is read, what is refused and why, and that writing it gives it back. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD  "tael-shards 1\nepoch 7\nshard a 10.0.0.1:1\nshard b 10.0.0.2:1,10.0.0.3:1\n"
#define SLOTS "slots 0-8191 a\nslots 8192-16383 b\n"

static struct shard_map map;
static struct shard_map again;

static void
t_read(const char *text)
{
    struct shard_problem problem;
    err_t result = shard_map_read(span_from_cstr(text), &map, &problem);
    if (result != ERR_OK) {
        fail_msg("line %u: %s", problem.line, problem.reason);
    }
}

static void
t_refused(const char *text, uint32_t line, const char *reason)
{
    struct shard_problem problem;
    assert_int_equal(shard_map_read(span_from_cstr(text), &map, &problem), ERR_INVALID);
    if (problem.line != line || strstr(problem.reason, reason) == NULL) {
        fail_msg("line %u: %s; not line %u: %s", problem.line, problem.reason, line, reason);
    }
}

static void
t_writes(const char *text)
{
    struct buf out;
    struct shard_problem problem;
    buf_init(&out, SHARD_TEXT_MAX);
    shard_map_write(&map, &out);
    assert_false(buf_failed(&out));
    if (!span_equal_cstr(buf_span(&out), text)) {
        fail_msg("%.*s", SPAN_PRINTF(buf_span(&out)));
    }
    assert_int_equal(shard_map_read(buf_span(&out), &again, &problem), ERR_OK);
    assert_true(shard_map_equal(&map, &again));
    buf_release(&out);
}

static void
test_whole(void **state)
{
    (void)state;
    const char *text = HEAD SLOTS "table ledger hash\n"
                                  "table orders range\nfrom - a\nfrom m b\n"
                                  "table cards column\ncolumn number b\ncolumn * a\n";
    t_read(text);
    assert_int_equal(map.epoch, 7);
    assert_int_equal(map.shard_count, 2);
    assert_string_equal(map.shards[1].at, "10.0.0.2:1,10.0.0.3:1");
    assert_int_equal(map.owners[8191], 0);
    assert_int_equal(map.owners[8192], 1);
    assert_int_equal(map.table_count, 3);
    t_writes(text);
}

/* Comments, empty lines and runs that could be one are read, and written as they should be. */
static void
test_tolerated(void **state)
{
    (void)state;
    t_read("# ours\n\n" HEAD "slots 0-1 a\nslots 2-8191 a\nslots 8192-16383 b");
    t_writes(HEAD SLOTS);
}

static void
test_refused(void **state)
{
    (void)state;
    t_refused("", 1, "no epoch");
    t_refused("epoch 1\n", 1, "first line");
    t_refused("tael-shards 2\n", 1, "reads \"tael-shards 1\"");
    t_refused("tael-shards 1\nepoch 0\n", 2, "from 1");
    t_refused("tael-shards 1\nepoch 01\n", 2, "from 1");
    t_refused("tael-shards 1\nepoch 9223372036854775808\n", 2, "from 1");
    t_refused("tael-shards 1\nepoch 1\nepoch 2\n", 3, "one epoch");
    t_refused(HEAD, 5, "last slots");
    t_refused(HEAD "shard a x\n", 5, "already");
    t_refused(HEAD "shard C x\n", 5, "no such name");
    t_refused(HEAD "slots 1-2 a\n", 5, "before these");
    t_refused(HEAD "slots 0-2 a\nslots 2-3 b\n", 6, "gives these slots away");
    t_refused(HEAD "slots 0-16384 a\n", 5, "FIRST-LAST");
    t_refused(HEAD "slots 0 a\n", 5, "FIRST-LAST");
    t_refused(HEAD "slots 0-5 c\n", 5, "names this shard");
    t_refused(HEAD "slots 0-16382 a\n", 6, "last slots");
    t_refused(HEAD "slots 0-5 a\nshard c x\n", 6, "before slots");
    t_refused(HEAD SLOTS "table t hash\ntable t hash\n", 8, "already");
    t_refused(HEAD SLOTS "table t mod\n", 7, "hash, range or column");
    t_refused(HEAD SLOTS "from - a\n", 7, "belongs to a range");
    t_refused(HEAD SLOTS "table t range\n", 8, "no \"from -\"");
    t_refused(HEAD SLOTS "table t range\ntable u hash\n", 8, "no \"from -\"");
    t_refused(HEAD SLOTS "table t range\nfrom m a\n", 8, "is \"from -\"");
    t_refused(HEAD SLOTS "table t range\nfrom - a\nfrom m a\nfrom m b\n", 10, "rise");
    t_refused(HEAD SLOTS "table t column\ncolumn x a\ncolumn x b\n", 9, "already");
    t_refused(HEAD SLOTS "table t hash\ncolumn x a\n", 8, "belongs to a column");
    t_refused("tael-shards  1\n", 1, "one space");
    t_refused("tael-shards 1 \n", 1, "one space");
    t_refused("tael-shards 1\nepoch 1 2\n", 2, "too few");
    t_refused("tael-shards 1\nepoch 1\r\n", 2, "one space");
    t_refused("tael-shards 1\nnonsense 1\n", 2, "begins so");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_tolerated),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

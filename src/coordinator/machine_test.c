/* The table of a transaction's states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine.h"

static enum coordinator_status
moved(enum coordinator_status from, enum coordinator_move move)
{
    enum coordinator_status to = COORDINATOR_STATUS_COUNT;
    (void)coordinator_status_move(from, move, &to);
    return to;
}

static void
test_names(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COORDINATOR_STATUS_COUNT; i++) {
        const char *name = coordinator_status_name((enum coordinator_status)i);
        assert_int_equal(coordinator_status_parse(span_from_cstr(name)), i);
    }
}

static void
test_both_ways(void **state)
{
    (void)state;
    assert_int_equal(moved(COORDINATOR_PREPARING, COORDINATOR_MOVE_VOTED), COORDINATOR_PREPARED);
    assert_int_equal(moved(COORDINATOR_PREPARED, COORDINATOR_MOVE_COMMIT), COORDINATOR_COMMITTING);
    assert_int_equal(moved(COORDINATOR_COMMITTING, COORDINATOR_MOVE_TOLD), COORDINATOR_COMMITTED);
    assert_int_equal(moved(COORDINATOR_PREPARING, COORDINATOR_MOVE_ABORT), COORDINATOR_ABORTING);
    assert_int_equal(moved(COORDINATOR_PREPARED, COORDINATOR_MOVE_ABORT), COORDINATOR_ABORTING);
    assert_int_equal(moved(COORDINATOR_ABORTING, COORDINATOR_MOVE_TOLD), COORDINATOR_ABORTED);
}

/* COORDINATOR-3: `committing` is reached from `prepared`, and by a retry of a commit. */
static void
test_only_a_vote_commits(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < COORDINATOR_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < COORDINATOR_MOVE_COUNT; move++) {
            if (moved(from, move) == COORDINATOR_COMMITTING) {
                assert_true(from == COORDINATOR_PREPARED || from == COORDINATOR_COMMIT_STUCK);
            }
        }
    }
}

/* COORDINATOR-2: whatever comes after a decision, it stays; and what is over stays so. */
static void
test_decided_once(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < COORDINATOR_STATUS_COUNT; from++) {
        bool commits = coordinator_status_commits(from);
        bool aborts = coordinator_status_aborts(from);
        assert_false(commits && aborts);
        for (uint32_t move = 0; move < COORDINATOR_MOVE_COUNT; move++) {
            enum coordinator_status to = moved(from, move);
            if (to == COORDINATOR_STATUS_COUNT) {
                continue;
            }
            assert_false(coordinator_status_is_over(from));
            assert_true(!commits || coordinator_status_commits(to));
            assert_true(!aborts || coordinator_status_aborts(to));
        }
    }
}

/* From everywhere some way leads to an end. */
static void
test_everything_ends(void **state)
{
    (void)state;
    bool ends[COORDINATOR_STATUS_COUNT] = {false};
    for (uint32_t round = 0; round < COORDINATOR_STATUS_COUNT; round++) {
        for (uint32_t from = 0; from < COORDINATOR_STATUS_COUNT; from++) {
            ends[from] = ends[from] || coordinator_status_is_over(from);
            for (uint32_t move = 0; move < COORDINATOR_MOVE_COUNT; move++) {
                enum coordinator_status to = moved(from, move);
                ends[from] = ends[from] || (to != COORDINATOR_STATUS_COUNT && ends[to]);
            }
        }
    }
    for (uint32_t from = 0; from < COORDINATOR_STATUS_COUNT; from++) {
        assert_true(ends[from]);
    }
}

static void
test_kinds_of_states(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COORDINATOR_STATUS_COUNT; i++) {
        int kinds = (coordinator_status_is_over(i) ? 1 : 0) +
                    (coordinator_status_is_stuck(i) ? 1 : 0) +
                    (coordinator_status_is_telling(i) ? 1 : 0) +
                    (i == COORDINATOR_PREPARING || i == COORDINATOR_PREPARED ? 1 : 0);
        assert_int_equal(kinds, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_only_a_vote_commits),
        cmocka_unit_test(test_decided_once),
        cmocka_unit_test(test_everything_ends),
        cmocka_unit_test(test_kinds_of_states),
    };
    return cmocka_run_group_tests_name("coordinator machine", tests, NULL, NULL);
}

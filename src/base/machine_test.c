#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine_testing.h"

enum {
    OFF,
    ON,
    BROKEN,
    STATES,
};

enum {
    TURN,
    KICK,
    MOVES,
};

static const char *const names[STATES] = {[OFF] = "off", [ON] = "on", [BROKEN] = "broken"};

static const uint8_t moves[STATES][MOVES] = {
    [OFF] = {[TURN] = MACHINE_TO(ON)},
    [ON] = {[TURN] = MACHINE_TO(OFF), [KICK] = MACHINE_TO(BROKEN)},
};

static const struct machine lamp = MACHINE(names, moves);

static void
test_moves(void **state)
{
    (void)state;

    static const struct t_move legal[] = {
        {"off", TURN, "on"},
        {"on", TURN, "off"},
        {"on", KICK, "broken"},
    };
    assert_int_equal(lamp.state_count, STATES);
    assert_int_equal(lamp.move_count, MOVES);
    T_MACHINE_MOVES(&lamp, legal);
    t_machine_final(&lamp, "broken");
}

static void
test_an_illegal_move_changes_nothing(void **state)
{
    (void)state;
    uint32_t to = 7;
    struct span text = span_from_cstr("off");
    assert_false(machine_move(&lamp, OFF, KICK, &to));
    assert_int_equal(to, 7);
    assert_false(machine_move_text(&lamp, &text, KICK));
    assert_true(span_equal_cstr(text, "off"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_an_illegal_move_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "machine_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *
target(const struct t_move *legal, size_t count, const char *from, uint32_t move)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(legal[i].from, from) == 0 && legal[i].move == move) {
            return legal[i].to;
        }
    }
    return NULL;
}

static void
one_move(const struct machine *machine, uint32_t from, uint32_t move, const char *wanted)
{
    const char *name = machine_name(machine, from);
    struct span text = span_from_cstr(name);
    uint32_t to = from;
    assert_int_equal(machine_move(machine, from, move, &to), wanted != NULL);
    assert_string_equal(machine_name(machine, to), wanted != NULL ? wanted : name);
    assert_int_equal(machine_move_text(machine, &text, move), wanted != NULL);
    assert_true(span_equal_cstr(text, wanted != NULL ? wanted : name));
}

void
t_machine_moves(const struct machine *machine, const struct t_move *legal, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)machine_parse(machine, span_from_cstr(legal[i].from)); /* or it stops here */
        assert_true(legal[i].move < machine->move_count);
    }
    for (uint32_t from = 0; from < machine->state_count; from++) {
        const char *name = machine_name(machine, from);
        assert_int_equal(machine_parse(machine, span_from_cstr(name)), from);
        for (uint32_t move = 0; move < machine->move_count; move++) {
            one_move(machine, from, move, target(legal, count, name, move));
        }
    }
}

void
t_machine_final(const struct machine *machine, const char *name)
{
    for (uint32_t move = 0; move < machine->move_count; move++) {
        struct span state = span_from_cstr(name);
        assert_false(machine_move_text(machine, &state, move));
    }
}

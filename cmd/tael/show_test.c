#include "show.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static struct buf out;
static char memory[1024];

static void
t_begin(void)
{
    buf_init_fixed(&out, memory, sizeof(memory));
}

static const char *
t_shown(void)
{
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    return memory;
}

static void
colours_are_for_terminals(void **state)
{
    (void)state;
    assert_true(show_wants_color(true, NULL, "xterm"));
    assert_true(show_wants_color(true, "", "xterm")); /* empty means not set: no-color.org */
    assert_false(show_wants_color(true, "1", "xterm"));
    assert_false(show_wants_color(false, NULL, "xterm"));
    assert_false(show_wants_color(true, NULL, "dumb"));
    assert_false(show_wants_color(true, NULL, NULL));
}

static void
t_expect_text(struct span text, const char *expected)
{
    t_begin();
    show_text(&out, text, SHOW_RED, false);
    assert_string_equal(t_shown(), expected);
    assert_int_equal(show_width(text), show_width(span_from_cstr(expected)));
}

static void
text_cannot_act_on_a_terminal(void **state)
{
    (void)state;
    t_expect_text(SPAN("plain"), "plain");
    t_expect_text(SPAN("a\033[2Jb"), "a?[2Jb");
    t_expect_text(SPAN("a\nb\tc\x7f"), "a?b?c?");
    t_expect_text(
        SPAN("a\xc2\x9b"
             "2J"),
        "a?2J"); /* CSI as a C1 control */
    t_expect_text(
        SPAN("a\x9b"
             "2J"),
        "a?2J"); /* the same byte, not UTF-8 */
    t_expect_text(SPAN("caf\xc3\xa9\xc2\xa0!"), "caf\xc3\xa9\xc2\xa0!");
    assert_int_equal(show_width(SPAN("caf\xc3\xa9")), 4);
    t_begin();
    show_text(&out, SPAN("x"), SHOW_RED, true);
    assert_string_equal(t_shown(), "\033[31mx\033[0m");
    t_begin();
    show_text(&out, SPAN_EMPTY, SHOW_RED, true);
    assert_string_equal(t_shown(), "");
}

static const struct show_column columns[] = {
    {.title = "NAME"}, {.title = "AMOUNT", .right = true}, {.title = ""}};

static void
tables_are_aligned(void **state)
{
    (void)state;
    struct show_table table;
    show_table_begin(&table, columns, 3);
    show_cell(&table, SHOW_PLAIN, "fee");
    show_cell(&table, SHOW_PLAIN, "%d", 5);
    show_cell(&table, SHOW_PLAIN, "%s", "");
    show_cell_span(&table, SHOW_GREEN, SPAN("caf\xc3\xa9 long"));
    show_cell(&table, SHOW_PLAIN, "12345678");
    show_cell(&table, SHOW_PLAIN, "x");
    t_begin();
    show_table_append(&table, &out, false);
    assert_string_equal(
        t_shown(),
        "NAME         AMOUNT\n"
        "fee               5\n"
        "caf\xc3\xa9 long  12345678  x\n");
    show_table_release(&table);
}

static void
tables_without_rows_or_titles(void **state)
{
    (void)state;
    static const struct show_column untitled[] = {{.title = ""}, {.title = ""}};
    struct show_table table;
    show_table_begin(&table, columns, 3);
    assert_true(show_table_print(&table)); /* prints nothing, with nothing */
    t_begin();
    show_table_append(&table, &out, false);
    assert_string_equal(t_shown(), "");
    show_table_release(&table);
    show_table_begin(&table, untitled, 2);
    show_cell(&table, SHOW_PLAIN, "a");
    show_cell(&table, SHOW_PLAIN, "b");
    t_begin();
    show_table_append(&table, &out, false);
    assert_string_equal(t_shown(), "a  b\n");
    show_table_release(&table);
}

static void
tables_have_a_maximum(void **state)
{
    (void)state;
    struct show_table table;
    show_table_begin(&table, columns, 1);
    for (uint32_t i = 0; i < SHOW_CELLS_MAX; i++) {
        show_cell(&table, SHOW_PLAIN, "1");
    }
    assert_false(table.failed);
    show_cell(&table, SHOW_PLAIN, "1");
    assert_true(table.failed);
    show_table_release(&table);
}

static void
bars_are_drawn(void **state)
{
    (void)state;
    t_begin();
    show_bar(&out, "check", 0, 100);
    assert_string_equal(t_shown(), "check [>                             ]   0%");
    t_begin();
    show_bar(&out, "check", 50, 100);
    assert_string_equal(t_shown(), "check [===============>              ]  50%");
    t_begin();
    show_bar(&out, "check", UINT64_MAX, UINT64_MAX);
    assert_string_equal(t_shown(), "check [==============================] 100%");
    t_begin();
    show_bar(&out, "check", 5, 0);
    assert_string_equal(t_shown(), "check");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_are_for_terminals),
        cmocka_unit_test(text_cannot_act_on_a_terminal),
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(tables_without_rows_or_titles),
        cmocka_unit_test(tables_have_a_maximum),
        cmocka_unit_test(bars_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "show.h"

#include "base/assert.h"
#include "os/clock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_SIZE_MAX    (1U << 26)
#define BAR_WIDTH         30
#define BAR_INTERVAL_NS   (100 * OS_NS_PER_MS)
#define BAR_FIRST_NS      (500 * OS_NS_PER_MS)
#define FIRST_PRINTABLE   0x20
#define DELETE_CHARACTER  0x7f
#define UTF8_CONTINUATION 0x80

static const char *const style_codes[] = {
    [SHOW_PLAIN] = "",
    [SHOW_BOLD] = "\033[1m",
    [SHOW_DIM] = "\033[2m",
    [SHOW_RED] = "\033[31m",
    [SHOW_GREEN] = "\033[32m",
    [SHOW_YELLOW] = "\033[33m",
};

bool
show_wants_color(bool is_terminal, const char *no_color, const char *term)
{
    bool refused = no_color != NULL && no_color[0] != '\0';
    bool dumb = term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
    return is_terminal && !refused && !dumb;
}

bool
show_colored(FILE *out)
{
    return show_wants_color(isatty(fileno(out)) == 1, getenv("NO_COLOR"), getenv("TERM"));
}

/* ------------------------------------------------------------------------------------- text */

/* Bytes of a control character at `at`: 0 if there is none. C1 controls are C2 80 ... C2 9F. */
static size_t
control_size(struct span text, size_t at)
{
    unsigned char byte = (unsigned char)text.data[at];
    if (byte < FIRST_PRINTABLE || byte == DELETE_CHARACTER) {
        return 1;
    }
    if (byte == 0xc2 && at + 1 < text.size && (unsigned char)text.data[at + 1] < 0xa0) {
        return 2;
    }
    return 0;
}

void
show_text(struct buf *out, struct span text, enum show_style style, bool colored)
{
    bool styled = colored && style != SHOW_PLAIN && text.size > 0;
    if (styled) {
        buf_append_cstr(out, style_codes[style]);
    }
    /* Bytes that are no UTF-8 could be C1 controls to a terminal that does not speak it. */
    bool is_utf8 = span_is_utf8(text);
    for (size_t at = 0; at < text.size;) {
        size_t control = control_size(text, at);
        bool odd = !is_utf8 && (unsigned char)text.data[at] >= UTF8_CONTINUATION;
        buf_append_byte(out, control > 0 || odd ? '?' : text.data[at]);
        at += control > 1 && !odd ? control : 1;
    }
    if (styled) {
        buf_append_cstr(out, "\033[0m");
    }
}

size_t
show_width(struct span text)
{
    size_t width = 0;
    bool is_utf8 = span_is_utf8(text);
    for (size_t at = 0; at < text.size; width++) {
        size_t control = is_utf8 ? control_size(text, at) : 0;
        at += control > 1 ? control : 1;
        while (is_utf8 && at < text.size && ((unsigned char)text.data[at] & 0xc0U) == 0x80U) {
            at++;
        }
    }
    return width;
}

/* ------------------------------------------------------------------------------------ tables */

void
show_table_begin(struct show_table *table, const struct show_column *columns, size_t count)
{
    ASSERT(count >= 1);
    ASSERT(count <= SHOW_COLUMNS_MAX);
    memset(table, 0, sizeof(*table));
    arena_init(&table->arena, TABLE_SIZE_MAX);
    table->columns = columns;
    table->column_count = count;
}

void
show_table_release(struct show_table *table)
{
    arena_release(&table->arena);
    free(table->cells);
    memset(table, 0, sizeof(*table));
}

static bool
make_room(struct show_table *table)
{
    enum {
        FIRST_ROOM = 64
    };

    if (table->failed || table->cell_count < table->cell_room) {
        return !table->failed;
    }
    size_t room = table->cell_room == 0 ? FIRST_ROOM : table->cell_room * 2;
    struct show_cell *cells =
        room > SHOW_CELLS_MAX ? NULL : realloc(table->cells, room * sizeof(*cells));
    table->failed = cells == NULL;
    if (cells != NULL) {
        table->cells = cells;
        table->cell_room = room;
    }
    return !table->failed;
}

void
show_cell_span(struct show_table *table, enum show_style style, struct span text)
{
    struct span copy = arena_copy(&table->arena, text);
    if (copy.size != text.size) {
        table->failed = true;
    }
    if (make_room(table)) {
        table->cells[table->cell_count++] = (struct show_cell){.text = copy, .style = style};
    }
}

void
show_cell(struct show_table *table, enum show_style style, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ASSERT(size >= 0);
    size_t shown = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    show_cell_span(table, style, span_of(text, shown));
}

static void
append_padded(struct buf *out, const struct show_cell *cell, size_t width, bool right, bool colored)
{
    size_t own = show_width(cell->text);
    ASSERT(own <= width);
    for (size_t i = own; right && i < width; i++) {
        buf_append_byte(out, ' ');
    }
    show_text(out, cell->text, cell->style, colored);
    for (size_t i = own; !right && i < width; i++) {
        buf_append_byte(out, ' ');
    }
}

static void
append_row(
    const struct show_table *table,
    const struct show_cell *cells,
    const size_t *widths,
    struct buf *out,
    bool colored)
{
    for (size_t column = 0; column < table->column_count; column++) {
        bool right = table->columns[column].right;
        bool is_last = column + 1 == table->column_count;
        size_t width = is_last && !right ? show_width(cells[column].text) : widths[column];
        append_padded(out, &cells[column], width, right, colored);
        buf_append_cstr(out, is_last ? "" : "  ");
    }
    while (out->size > 0 && out->data[out->size - 1] == ' ') {
        out->size--;
    }
    buf_append_byte(out, '\n');
}

void
show_table_append(const struct show_table *table, struct buf *out, bool colored)
{
    size_t widths[SHOW_COLUMNS_MAX] = {0};
    struct show_cell titles[SHOW_COLUMNS_MAX];
    ASSERT(table->failed || table->cell_count % table->column_count == 0);
    if (table->failed || table->cell_count == 0) {
        return;
    }
    bool titled = false;
    for (size_t column = 0; column < table->column_count; column++) {
        struct span title = span_from_cstr(table->columns[column].title);
        titles[column] = (struct show_cell){.text = title, .style = SHOW_DIM};
        widths[column] = show_width(title);
        titled = titled || title.size > 0;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = show_width(table->cells[i].text);
        size_t *widest = &widths[i % table->column_count];
        *widest = width > *widest ? width : *widest;
    }
    if (titled) {
        append_row(table, titles, widths, out, colored);
    }
    for (size_t i = 0; i < table->cell_count; i += table->column_count) {
        append_row(table, &table->cells[i], widths, out, colored);
    }
}

bool
show_table_print(const struct show_table *table)
{
    struct buf out;
    buf_init(&out, TABLE_SIZE_MAX);
    show_table_append(table, &out, show_colored(stdout));
    bool complete = !table->failed && !buf_failed(&out);
    if (!complete) {
        (void)fputs("tael: the table is too large; ask for less, or use --json\n", stderr);
    } else if (out.size > 0) {
        (void)fwrite(out.data, 1, out.size, stdout);
    }
    buf_release(&out);
    return complete;
}

bool
show_table_finish(struct show_table *table)
{
    bool printed = show_table_print(table);
    show_table_release(table);
    return printed;
}

const struct show_column show_pair_columns[SHOW_PAIR_COLUMNS] = {{.title = ""}, {.title = ""}};

void
show_pair(struct show_table *table, const char *name, enum show_style style, struct span value)
{
    if (value.size > 0) {
        show_cell(table, SHOW_DIM, "%s", name);
        show_cell_span(table, style, value);
    }
}

/* ---------------------------------------------------------------------------------- progress */

void
show_bar(struct buf *out, const char *label, uint64_t done, uint64_t total)
{
    buf_append_cstr(out, label);
    if (total == 0) {
        return;
    }
    /* In steps of 1/1000, so that nothing overflows for any number of bytes. */
    uint64_t share = done >= total ? 1000 : (uint64_t)((unsigned __int128)done * 1000 / total);
    size_t full = (size_t)(share * BAR_WIDTH / 1000);
    buf_append_cstr(out, " [");
    for (size_t i = 0; i < BAR_WIDTH; i++) {
        buf_append_byte(out, i < full ? '=' : i == full ? '>' : ' ');
    }
    buf_append_format(out, "] %3u%%", (unsigned)(share / 10));
}

void
show_progress_begin(struct show_progress *progress, const char *label)
{
    *progress = (struct show_progress){
        .label = label,
        .active = isatty(STDERR_FILENO) == 1,
        .next_ns = os_monotonic_ns(os_clock_real()) + BAR_FIRST_NS,
    };
}

void
show_progress_step(struct show_progress *progress, uint64_t done, uint64_t total)
{
    if (!progress->active) {
        return;
    }
    uint64_t now = os_monotonic_ns(os_clock_real());
    if (now < progress->next_ns) {
        return;
    }
    char text[256];
    struct buf line;
    buf_init_fixed(&line, text, sizeof(text));
    buf_append_byte(&line, '\r');
    show_bar(&line, progress->label, done, total);
    (void)fwrite(line.data, 1, line.size, stderr);
    (void)fflush(stderr);
    progress->drawn = true;
    progress->next_ns = now + BAR_INTERVAL_NS;
}

void
show_progress_end(struct show_progress *progress)
{
    if (progress->drawn) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
    progress->active = false;
    progress->drawn = false;
}

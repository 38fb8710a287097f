/*
 * What people see: colours, tables, progress bars. Colours only on a terminal and without NO_COLOR.
 *
 * SHOW-1  No byte of a cell can move the cursor or change the terminal: control characters, which
 *         may come from the network, are shown as '?'.
 */
#ifndef TAEL_SHOW_H
#define TAEL_SHOW_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdio.h>

enum show_style {
    SHOW_PLAIN,
    SHOW_BOLD,
    SHOW_DIM,
    SHOW_RED,
    SHOW_GREEN,
    SHOW_YELLOW,
};

/* Whether to colour; the two variables may be NULL (not set). */
bool show_wants_color(bool is_terminal, const char *no_color, const char *term);
/* The same for a stream and this process's environment. */
bool show_colored(FILE *out);

/* Text without what could act on a terminal; `style` only if `colored`. */
void show_text(struct buf *out, struct span text, enum show_style style, bool colored);
/* Characters of UTF-8 text. */
size_t show_width(struct span text);

#define SHOW_COLUMNS_MAX 12
#define SHOW_CELLS_MAX   (1U << 17)

struct show_column {
    const char *title; /* "" in all columns: a table without titles */
    bool right;        /* aligned to the right, as numbers are */
};

struct show_cell {
    struct span text;
    enum show_style style;
};

struct show_table {
    struct arena arena;
    const struct show_column *columns; /* the caller's */
    size_t column_count;
    struct show_cell *cells; /* row by row */
    size_t cell_count;
    size_t cell_room;
    bool failed; /* out of memory, or more than SHOW_CELLS_MAX cells */
};

void show_table_begin(struct show_table *table, const struct show_column *columns, size_t count);
void show_table_release(struct show_table *table);
/* The next cell of the row; a row is as many cells as there are columns. */
__attribute__((format(printf, 3, 4))) void show_cell(
    struct show_table *table, enum show_style style, const char *format, ...);
void show_cell_span(struct show_table *table, enum show_style style, struct span text);

/* Two columns without titles, for names and values. */
#define SHOW_PAIR_COLUMNS 2
extern const struct show_column show_pair_columns[SHOW_PAIR_COLUMNS];
/* A row of them; none if the value is empty. */
void show_pair(
    struct show_table *table, const char *name, enum show_style style, struct span value);

/* Titles and rows, two spaces between columns; nothing without rows. */
void show_table_append(const struct show_table *table, struct buf *out, bool colored);
/* To standard output. False, with a line on standard error, if memory did not suffice. */
bool show_table_print(const struct show_table *table);
/* Prints, and releases. */
bool show_table_finish(struct show_table *table);

/* A bar on standard error, if that is a terminal, after the first half second. */
struct show_progress {
    const char *label;
    bool active;
    bool drawn;
    uint64_t next_ns; /* monotonic: not drawn again before it */
};

void show_progress_begin(struct show_progress *progress, const char *label);
/* Any unit; `total` 0 shows the label only. */
void show_progress_step(struct show_progress *progress, uint64_t done, uint64_t total);
/* Removes the bar; before anything else is printed. */
void show_progress_end(struct show_progress *progress);
/* "label [=====>    ]  52%" */
void show_bar(struct buf *out, const char *label, uint64_t done, uint64_t total);

#endif
